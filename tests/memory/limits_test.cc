// Limits: what is chosen, and that both sums together are held to the hard one.
#include "lib/memory/limits.h"

#include <barrier>
#include <cstdint>
#include <memory>
#include <thread>

#include "gtest/gtest.h"

#include "lib/memory/space.h"
#include "tests/memory/support.h"

namespace reef::memory {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kNone = os::kNoCgroupLimit;

TEST(ChooseLimitsTest, WithoutGroupsWhatWasAskedFor) {
  EXPECT_EQ(ChooseLimits({}, {}), (Limits{.soft = 0, .hard = 0}));
  EXPECT_EQ(ChooseLimits({.soft = 3 * kMiB, .hard = 5 * kMiB}, {}),
            (Limits{.soft = 3 * kMiB, .hard = 5 * kMiB}));
}

TEST(ChooseLimitsTest, GroupsFillInWhatWasNot) {
  const os::CgroupLimits both{.max = 1000 * kMiB, .high = 500 * kMiB};
  EXPECT_EQ(ChooseLimits({}, both), (Limits{.soft = 400 * kMiB, .hard = 950 * kMiB}));
  EXPECT_EQ(ChooseLimits({.hard = 2000 * kMiB}, both),
            (Limits{.soft = 400 * kMiB, .hard = 2000 * kMiB}));
  EXPECT_EQ(ChooseLimits({.soft = 7 * kMiB}, both), (Limits{.soft = 7 * kMiB, .hard = 950 * kMiB}));
  EXPECT_EQ(ChooseLimits({}, {.max = 1000 * kMiB, .high = kNone}),
            (Limits{.soft = 800 * kMiB, .hard = 950 * kMiB}));
  EXPECT_EQ(ChooseLimits({}, {.max = kNone, .high = 500 * kMiB}),
            (Limits{.soft = 400 * kMiB, .hard = 0}));
}

TEST(ChooseLimitsTest, SoftLimitBeyondTheImpliedHardOneBecomesTheImpliedOne) {
  EXPECT_EQ(ChooseLimits({.soft = 951 * kMiB}, {.max = 1000 * kMiB, .high = kNone}),
            (Limits{.soft = 800 * kMiB, .hard = 950 * kMiB}));
  EXPECT_EQ(ChooseLimits({.soft = 950 * kMiB}, {.max = 1000 * kMiB, .high = kNone}),
            (Limits{.soft = 950 * kMiB, .hard = 950 * kMiB}));
}

TEST(ChooseLimitsTest, ImpliedSoftLimitNeverExceedsTheHardOne) {
  EXPECT_EQ(ChooseLimits({.hard = 10 * kMiB}, {.max = 1000 * kMiB, .high = kNone}),
            (Limits{.soft = 0, .hard = 10 * kMiB}));
  const Limits tiny = ChooseLimits({}, {.max = 4096, .high = kNone});
  EXPECT_EQ(tiny.hard, kMiB);
  EXPECT_LE(tiny.soft, tiny.hard);
}

class LimitedSpaceTest : public testing::Test {
 protected:
  static constexpr uint64_t kLimit = 4 * kMiB;
  LimitedSpaceTest() {
    space_ = Space::Create(
        &core_, {.reserve_bytes = 64 * kMiB, .max_bytes = kLimit, .soft_bytes = 2 * kMiB});
  }
  HeapCore core_;
  std::unique_ptr<Space> space_;
};

TEST_F(LimitedSpaceTest, ExternalBytesTakeRoomFromSlabs) {
  ASSERT_TRUE(space_->ChargeExternal(kLimit - 2 * internal::kSlabBytes));
  EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, 0), nullptr);
  EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, 0), nullptr);
  EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, 0), nullptr);
  EXPECT_EQ(space_->AllocateRun(SlabKind::kRaw, 100'000, 16), nullptr);
  EXPECT_FALSE(space_->ChargeExternal(1));
  EXPECT_TRUE(space_->ChargeExternal(0));
  space_->UnchargeExternal(internal::kSlabBytes);
  EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, 0), nullptr);
  EXPECT_EQ(space_->external_bytes(), kLimit - 3 * internal::kSlabBytes);
}

TEST_F(LimitedSpaceTest, ImpossibleChargesFailWithoutATrace) {
  for (const uint64_t bytes : {kLimit + 1, uint64_t{1} << 57, ~uint64_t{0}}) {
    EXPECT_FALSE(space_->ChargeExternal(bytes));
  }
  EXPECT_EQ(space_->external_bytes(), 0u);
}

TEST_F(LimitedSpaceTest, SoftLimitOnlyTells) {
  EXPECT_FALSE(space_->IsAboveSoftLimit());
  ASSERT_TRUE(space_->ChargeExternal(2 * kMiB));
  EXPECT_FALSE(space_->IsAboveSoftLimit());
  EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, 0), nullptr);
  EXPECT_TRUE(space_->IsAboveSoftLimit());
}

TEST_F(LimitedSpaceTest, OfChargesThatTogetherExceedTheLimitOneFails) {
  // Room for one slab: one thread wants it for a run, the other for external bytes.
  ASSERT_TRUE(space_->ChargeExternal(kLimit - internal::kSlabBytes));
  const auto slot = test::NewSlot(0);
  constexpr int kRounds = 2'000;
  std::barrier step(2);
  bool external_won = false;
  std::thread other([&] {
    for (int round = 0; round < kRounds; ++round) {
      step.arrive_and_wait();
      external_won = space_->ChargeExternal(internal::kSlabBytes);
      step.arrive_and_wait();
      if (external_won) space_->UnchargeExternal(internal::kSlabBytes);
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    step.arrive_and_wait();
    void* run = space_->AllocateRun(SlabKind::kRaw, 100, 16);
    step.arrive_and_wait();
    EXPECT_FALSE(run != nullptr && external_won);
    if (run == nullptr) continue;
    space_->FreeRun(slot.get(), internal::SlabOf(run));
    // Its memory is charged until it is given back.
    space_->ReturnToSupply(space_->TakeEmpty());
    space_->Purge(true);
  }
  other.join();
  EXPECT_EQ(space_->committed_bytes(), 0u);
}

}  // namespace
}  // namespace reef::memory
