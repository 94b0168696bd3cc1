// Futexes: who waits, and what ends it.
#include "lib/os/futex.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

constexpr std::chrono::nanoseconds kForEver{-1};

TEST(FutexTest, WordThatDiffersIsNotWaitedFor) {
  const std::atomic<uint32_t> word{1};
  FutexWait(word, 0, kForEver);  // would hang
  EXPECT_EQ(word.load(), 1u);
}

TEST(FutexTest, WaitEndsWithItsTime) {
  const std::atomic<uint32_t> word{0};
  const auto start = std::chrono::steady_clock::now();
  // Spurious returns are allowed: until the time has passed.
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(3)) {
    FutexWait(word, 0, std::chrono::milliseconds(1));
  }
  EXPECT_EQ(word.load(), 0u);
}

TEST(FutexTest, WakeReachesAllWaiters) {
  std::atomic<uint32_t> word{0};
  std::atomic<int> woken{0};
  std::thread waiters[3];
  for (auto& waiter : waiters) {
    waiter = std::thread([&] {
      while (word.load() == 0) FutexWait(word, 0, kForEver);
      ++woken;
    });
  }
  word.store(1);
  FutexWakeAll(word);
  for (auto& waiter : waiters) waiter.join();
  EXPECT_EQ(woken.load(), 3);
}

}  // namespace
}  // namespace reef::os
