// Membarrier: registration, and the asymmetric Dekker pattern that everything else is built on.
#include "lib/os/membarrier.h"

#include <atomic>
#include <cstdlib>
#include <thread>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

TEST(MembarrierTest, RegistrationSaysWhatHolds) {
  const bool registered = RegisterMembarrier();
  EXPECT_EQ(HasMembarrier(), registered);
  Membarrier();  // works in either case
  EXPECT_EQ(HasMembarrier(), registered);
}

TEST(MembarrierDeathTest, EnvironmentTurnsItOff) {
  EXPECT_EXIT(
      {
        (void)setenv("REEF_NO_MEMBARRIER", "1", 1);
        const bool off = !RegisterMembarrier() && !HasMembarrier();
        Membarrier();
        std::_Exit(off ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

// One side stores and loads plainly, the other with a membarrier in between: one of them must see
// the other.
TEST(MembarrierTest, PlainStoreBeforeLoadIsOrderedAgainstTheBarrier) {
  if (!RegisterMembarrier()) GTEST_SKIP() << "the kernel has no membarrier";
  constexpr int kRounds = 3000;
  std::atomic<int> plain{0};
  std::atomic<int> heavy{0};
  std::atomic<int> seen_by_plain{0};
  std::atomic<int> round_of_plain{0};
  std::atomic<int> round{0};
  std::thread other([&] {
    for (int i = 1; i <= kRounds; ++i) {
      while (round.load(std::memory_order_acquire) != i) std::this_thread::yield();
      plain.store(i, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      seen_by_plain.store(heavy.load(std::memory_order_relaxed), std::memory_order_relaxed);
      round_of_plain.store(i, std::memory_order_release);
    }
  });
  int missed = 0;
  for (int i = 1; i <= kRounds; ++i) {
    round.store(i, std::memory_order_release);
    heavy.store(i, std::memory_order_relaxed);
    Membarrier();
    const int seen = plain.load(std::memory_order_relaxed);
    while (round_of_plain.load(std::memory_order_acquire) != i) std::this_thread::yield();
    if (seen != i && seen_by_plain.load(std::memory_order_relaxed) != i) ++missed;
  }
  other.join();
  EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace reef::os
