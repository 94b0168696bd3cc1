// Emergencies near the limit: which ones are futile, and how long the next ones are refused.
#include "lib/collector/emergency.h"

#include "gtest/gtest.h"

#include "lib/os/clock.h"

namespace reef::collector {
namespace {

using os::Nanoseconds;
using std::chrono::milliseconds;

constexpr uint64_t kHeld = 64'000;
constexpr int kPercent = 20;

class EmergencyTest : public testing::Test {
 protected:
  // One that took 10 ms from `now_` on.
  Relief Run(uint64_t freed) {
    const Nanoseconds start = now_;
    now_ += milliseconds(10);
    return NoteEmergency(&record_, start, now_, kHeld, freed, kPercent);
  }
  bool MayStart(milliseconds later = milliseconds(0)) {
    return MayStartEmergency(&record_, now_ + later);
  }

  Emergencies record_;
  Nanoseconds now_ = milliseconds(1000);
};

TEST_F(EmergencyTest, OneSixtyFourthIsEnough) {
  EXPECT_EQ(Run(kHeld / 64), Relief::kFreed);
  EXPECT_EQ(Run(kHeld / 64 - 1), Relief::kFutile);
}

TEST_F(EmergencyTest, UsefulOnesAreNeverRefused) {
  for (int i = 0; i < 3000; ++i) {
    (void)Run(kHeld / 8);
    ASSERT_TRUE(MayStart());
  }
  EXPECT_EQ(record_.refusals, 0u);
}

TEST_F(EmergencyTest, AfterTwoFutileOnesTheNextWaitsForTheCollectorsShare) {
  (void)Run(0);
  EXPECT_TRUE(MayStart());
  (void)Run(0);
  // 20 % of a core: 10 ms of work, 40 ms of rest.
  EXPECT_FALSE(MayStart());
  EXPECT_FALSE(MayStart(milliseconds(39)));
  EXPECT_TRUE(MayStart(milliseconds(40)));
  EXPECT_EQ(record_.refusals, 2u);
  // A third futile one in a row is enough for the next rest.
  now_ += milliseconds(40);
  (void)Run(0);
  EXPECT_FALSE(MayStart(milliseconds(39)));
}

TEST_F(EmergencyTest, LeanOnesGetHalfOfTheTime) {
  // Back to back, each frees a thirty-second of the heap.
  int runs = 0;
  while (MayStart()) {
    (void)Run(kHeld / 32);
    ASSERT_LT(++runs, 2000);
  }
  EXPECT_NEAR(runs, 1000, 2);  // ten seconds' worth
  // From then on as much rest as work.
  const Nanoseconds end = now_ + milliseconds(10'000);
  for (runs = 0; now_ < end;) {
    if (MayStart()) {
      (void)Run(kHeld / 32);
      ++runs;
    } else {
      now_ += milliseconds(1);
    }
  }
  EXPECT_NEAR(runs, 500, 2);
  // A long rest fills it up.
  now_ += milliseconds(20'000);
  for (runs = 0; MayStart(); ++runs) (void)Run(kHeld / 32);
  EXPECT_NEAR(runs, 1000, 2);
}

TEST_F(EmergencyTest, LeanOnesWithAsMuchRestAreNeverRefused) {
  for (int i = 0; i < 3000; ++i) {
    (void)Run(kHeld / 32);
    now_ += milliseconds(10);
    ASSERT_TRUE(MayStart()) << i;
  }
}

TEST_F(EmergencyTest, AUsefulOneEndsTheRow) {
  (void)Run(0);
  (void)Run(kHeld);
  (void)Run(0);
  EXPECT_TRUE(MayStart());
}

TEST_F(EmergencyTest, WaitersOfOneCollectionCountOnce) {
  const Nanoseconds start = now_;
  (void)Run(0);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(NoteEmergency(&record_, start, now_, kHeld, 0, kPercent), Relief::kFutile);
  }
  EXPECT_EQ(record_.collections, 1u);
  EXPECT_TRUE(MayStart());
}

}  // namespace
}  // namespace reef::collector
