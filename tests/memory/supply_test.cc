// The supply of slabs: formats, order, limits, and every slab to one taker.
#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/space.h"
#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::SegmentOf;

class SupplyTest : public SpaceTest {};

TEST_F(SupplyTest, TakenSlabIsFormattedForItsClass) {
  for (const SlabKind kind : {SlabKind::kRaw, SlabKind::kLeaf, SlabKind::kTraced}) {
    for (int i = 0; i < internal::kClasses; ++i) {
      const Slab* slab = space_->TakeSlab(kind, i);
      ASSERT_NE(slab, nullptr);
      EXPECT_TRUE(slab->formatted.load());
      EXPECT_EQ(slab->kind, kind);
      EXPECT_EQ(slab->size_class, i);
      EXPECT_EQ(slab->block_bytes, internal::ClassBytes(i));
      EXPECT_EQ(slab->first, internal::ClassFirstOffset(kind, i));
      EXPECT_EQ(slab->capacity, (kSlabBytes - slab->first) / slab->block_bytes);
      EXPECT_EQ(slab->link_offset, kind == SlabKind::kRaw ? 0 : Header::kBytes);
      EXPECT_EQ(slab->run_slabs, 0u);
      EXPECT_EQ(slab->owner.load(), 0u);
      EXPECT_EQ(slab->used.load(), 0u);
      EXPECT_EQ(slab->carved.load(), 0u);
      EXPECT_EQ(slab->remote.load(), 0u);
      EXPECT_EQ(slab->free, nullptr);
    }
  }
}

TEST_F(SupplyTest, SegmentIsUsedUpBeforeTheNextIsOpened) {
  for (uint64_t i = 0; i < kUsableSlabs; ++i) {
    const Slab* slab = space_->TakeSlab(SlabKind::kRaw, kClass);
    EXPECT_EQ(SegmentOf(slab)->index, 0u);
    EXPECT_EQ(slab - SegmentOf(slab)->slabs, static_cast<ptrdiff_t>(i + 1)) << "0 is the record";
  }
  EXPECT_EQ(SegmentOf(space_->TakeSlab(SlabKind::kRaw, kClass))->index, 1u);
}

TEST_F(SupplyTest, EveryTakenSlabIsCharged) {
  for (uint64_t i = 1; i <= 3; ++i) {
    (void)space_->TakeSlab(SlabKind::kRaw, kClass);
    EXPECT_EQ(space_->committed_bytes(), i * kSlabBytes);
  }
}

TEST_F(SupplyTest, LimitHolds) {
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = 5 * kSlabBytes});
  for (int i = 0; i < 5; ++i) EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr);
  EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr);
  EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr) << "a refusal must not be charged";
  EXPECT_EQ(space_->committed_bytes(), 5 * kSlabBytes);
}

TEST_F(SupplyTest, LimitHoldsForRunsInTheLastGap) {
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = 5 * kSlabBytes});
  (void)space_->TakeSlab(SlabKind::kRaw, kClass);
  EXPECT_EQ(space_->AllocateRun(SlabKind::kRaw, 5 * kSlabBytes, 8), nullptr);
  EXPECT_NE(space_->AllocateRun(SlabKind::kRaw, 4 * kSlabBytes, 8), nullptr);
  EXPECT_EQ(space_->committed_bytes(), 5 * kSlabBytes);
}

TEST_F(SupplyTest, AddressesRunOutAfterTheLastSegment) {
  const uint64_t slabs = space_->reserved_bytes() / kSegmentBytes * kUsableSlabs;
  std::set<const Slab*> distinct;
  for (uint64_t i = 0; i < slabs; ++i) distinct.insert(space_->TakeSlab(SlabKind::kRaw, kClass));
  EXPECT_EQ(distinct.size(), slabs);
  EXPECT_EQ(distinct.count(nullptr), 0u);
  EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr);
  EXPECT_EQ(space_->committed_bytes(), slabs * kSlabBytes);
}

TEST_F(SupplyTest, ReturnedSlabWithMemoryIsTakenFirstAndNotChargedAgain) {
  Slot* slot = AddSlot();
  void* low = space_->AllocateRun(SlabKind::kRaw, 3 * kSlabBytes, 8);
  void* high = Allocate(slot);
  ReleaseSlabs(slot, space_.get());
  // The run goes back clean: its memory was given up on the way. The slab of blocks stays dirty.
  space_->FreeRun(AddSlot(), internal::SlabOf(low));
  space_->ReturnToSupply(space_->TakeEmpty());
  space_->Purge(true);
  ASSERT_EQ(space_->committed_bytes(), kSlabBytes);
  const Slab* dirty = internal::SlabOf(high);
  Free(slot, high);
  space_->ReturnToSupply(space_->TakeEmpty());
  EXPECT_EQ(space_->TakeSlab(SlabKind::kLeaf, kClass), dirty) << "though lower ones are free";
  EXPECT_EQ(space_->committed_bytes(), kSlabBytes);
  EXPECT_EQ(space_->TakeSlab(SlabKind::kLeaf, kClass), internal::SlabOf(low));
  EXPECT_EQ(space_->committed_bytes(), 2 * kSlabBytes);
}

TEST_F(SupplyTest, AvailableSlabsAreKeptByKindAndClass) {
  Slab* slab = space_->TakeSlab(SlabKind::kLeaf, kClass);
  space_->PushAvailable(slab, false);
  EXPECT_FALSE(space_->HasEmpty());
  EXPECT_EQ(space_->PopAvailable(SlabKind::kTraced, kClass), nullptr);
  EXPECT_EQ(space_->PopAvailable(SlabKind::kLeaf, kClass + 1), nullptr);
  EXPECT_EQ(space_->PopAvailable(SlabKind::kLeaf, kClass), slab);
  space_->PushAvailable(slab, true);
  EXPECT_TRUE(space_->HasEmpty());
}

// Threads compete for the slabs of several segments, some of them for runs.
TEST_F(SupplyTest, EverySlabHasOneTakerUnderContention) {
  constexpr int kThreads = 3;
  std::vector<std::vector<std::pair<uint64_t, uint64_t>>> taken(kThreads);  // number, slabs
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t step = 0; step < 80; ++step) {
        const uint64_t slabs = i == 0 ? step % 3 + 2 : 1;
        const Slab* slab =
            slabs == 1
                ? space_->TakeSlab(SlabKind::kRaw, kClass)
                : internal::SlabOf(space_->AllocateRun(SlabKind::kRaw, slabs * kSlabBytes, 8));
        taken[static_cast<size_t>(i)].push_back({NumberOf(space_->base(), slab), slabs});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<uint64_t> numbers;
  uint64_t sum = 0;
  for (const auto& list : taken) {
    for (const auto& [number, slabs] : list) {
      sum += slabs;
      for (uint64_t i = 0; i < slabs; ++i) EXPECT_TRUE(numbers.insert(number + i).second);
    }
  }
  EXPECT_EQ(space_->committed_bytes(), sum * kSlabBytes);
}

TEST_F(SupplyTest, LimitHoldsUnderContention) {
  constexpr uint64_t kLimit = 100;
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = kLimit * kSlabBytes});
  std::atomic<uint64_t> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int step = 0; step < 60; ++step) {
        if (space_->TakeSlab(SlabKind::kRaw, kClass) != nullptr) ++taken;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  // Nobody may exceed it; at rest all of it can be had.
  EXPECT_LE(taken.load(), kLimit);
  while (space_->TakeSlab(SlabKind::kRaw, kClass) != nullptr) ++taken;
  EXPECT_EQ(taken.load(), kLimit);
  EXPECT_EQ(space_->committed_bytes(), kLimit * kSlabBytes);
}

}  // namespace
}  // namespace reef::memory::test
