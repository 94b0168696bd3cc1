// The clock does not go back; a long wait sleeps.
#include "lib/os/clock.h"

#include <chrono>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

TEST(ClockTest, NowNeverGoesBack) {
  Nanoseconds last = Now();
  for (int i = 0; i < 1000; ++i) {
    const Nanoseconds now = Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(ClockTest, LongWaitSleepsInsteadOfSpinning) {
  Backoff backoff;
  for (int i = 0; i < 400; ++i) backoff.Pause();
  const Nanoseconds start = Now();
  for (int i = 0; i < 10; ++i) backoff.Pause();
  EXPECT_GE(Now() - start, std::chrono::milliseconds(1)) << "ten naps of 100 microseconds";
}

}  // namespace
}  // namespace reef::os
