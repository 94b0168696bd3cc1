// The gate between guarded work and a fork: shut, it waits for the work, for a window only a while.
#include "lib/os/fork.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"

#include "lib/os/clock.h"

namespace reef::os {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(ForkGateTest, ShutWhileNobodyWorksItHoldsWorkUp) {
  ShutForkGate(hours(1));
  std::atomic<bool> begun{false};
  std::thread worker([&] {
    BeginGuardedWork();
    begun = true;
    EndGuardedWork();
  });
  EXPECT_FALSE(begun.load());
  OpenForkGate();
  worker.join();
  EXPECT_TRUE(begun.load());
}

// The forking thread and the worker never meet inside: a plain variable, and many rounds.
TEST(ForkGateTest, WorkAndForksExcludeEachOther) {
  constexpr int kRounds = 2000;
  int inside = 0;
  std::atomic<bool> done{false};
  std::thread worker([&] {
    while (!done.load()) {
      BeginGuardedWork();
      ++inside;
      {
        const ForkWindow window;
        const ForkWindow nested;
      }
      ++inside;
      EndGuardedWork();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ShutForkGate(hours(1));
    const int before = inside++;
    EXPECT_EQ(inside, before + 1);
    OpenForkGate();
  }
  done = true;
  worker.join();
}

TEST(ForkGateTest, WindowIsWaitedForNoLongerThanAsked) {
  std::atomic<int> step{0};
  std::atomic<bool> back{false};
  std::thread worker([&] {
    BeginGuardedWork();
    {
      const ForkWindow window;
      step = 1;
      step.notify_all();
      step.wait(1);
    }
    back = true;
    EndGuardedWork();
  });
  step.wait(0);
  const Nanoseconds start = Now();
  ShutForkGate(milliseconds(5));
  EXPECT_GE(Now() - start, milliseconds(5));
  // It may leave the window now, but not go on.
  step = 2;
  step.notify_all();
  EXPECT_FALSE(back.load());
  ShutForkGate(hours(1));  // returns when the worker stands at the gate
  EXPECT_FALSE(back.load());
  OpenForkGate();
  worker.join();
  EXPECT_TRUE(back.load());
}

TEST(ForkGateTest, WindowsOutsideWorkAreNothing) {
  const ForkWindow window;
  ShutForkGate(hours(1));
  OpenForkGate();
}

}  // namespace
}  // namespace reef::os
