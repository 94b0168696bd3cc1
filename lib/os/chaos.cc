#include "lib/os/chaos.h"

#if defined(REEF_CHAOS) && REEF_CHAOS

#include <sched.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace reef::os {
namespace {

uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("REEF_SEED");
    const uint64_t value =
        given != nullptr ? std::strtoull(given, nullptr, 0) : static_cast<uint64_t>(time(nullptr));
    if (given == nullptr) {
      std::fprintf(stderr, "reef: chaos build, REEF_SEED=%llu\n",
                   static_cast<unsigned long long>(value));
    }
    return value;
  }();
  return seed;
}

// Release when set, acquire by points: what the test prepared for its hook is seen by it.
std::atomic<ChaosHook> g_hook{nullptr};

// Relaxed: only hands out different numbers.
std::atomic<uint64_t> g_threads{0};

// xorshift64*: small, and good enough to choose pauses.
uint64_t Next() {
  thread_local uint64_t state =
      Seed() * 0x9e3779b97f4a7c15u + g_threads.fetch_add(1, std::memory_order_relaxed) * 2 + 1;
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1du;
}

}  // namespace

void SetChaosHook(ChaosHook hook) { g_hook.store(hook, std::memory_order_release); }

}  // namespace reef::os

namespace reef::internal {

void ChaosPoint(const char* name) {
  if (const os::ChaosHook hook = os::g_hook.load(std::memory_order_acquire)) hook(name);
  const uint64_t draw = os::Next() >> 32;
  if (draw % 16 == 0) {
    (void)sched_yield();
  } else if (draw % 1024 == 1) {
    const timespec nap{0, static_cast<long>(draw % 200'000)};
    (void)nanosleep(&nap, nullptr);
  }
}

}  // namespace reef::internal

#endif
