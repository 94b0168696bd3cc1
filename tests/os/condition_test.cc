// The condition variable: no notification is lost, and time is kept.
#include "lib/os/condition.h"

#include <chrono>
#include <mutex>
#include <thread>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

TEST(ConditionTest, TwoThreadsTakeTurns) {
  constexpr int kTurns = 2000;
  std::mutex mutex;
  Condition changed;
  int turn = 0;
  const auto play = [&](int parity) {
    for (int i = 0; i < kTurns; ++i) {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return turn % 2 == parity; });
      ++turn;
      changed.notify_all();
    }
  };
  std::thread other([&] { play(1); });
  play(0);
  other.join();
  EXPECT_EQ(turn, 2 * kTurns);
}

TEST(ConditionTest, WaitForEndsWithItsTime) {
  std::mutex mutex;
  Condition changed;
  std::unique_lock<std::mutex> lock(mutex);
  EXPECT_FALSE(changed.wait_for(lock, std::chrono::milliseconds(2), [] { return false; }));
  EXPECT_TRUE(lock.owns_lock());
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::hours(1), [] { return true; }));
}

}  // namespace
}  // namespace reef::os
