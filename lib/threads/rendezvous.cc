#include "lib/threads/rendezvous.h"

#include <atomic>
#include <cstdint>
#include <cstdio>

#include "lib/os/chaos.h"
#include "lib/os/clock.h"
#include "lib/os/membarrier.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"

namespace reef::threads {
namespace {

using os::Nanoseconds;

// Written by whoever holds a rendezvous, read by statistics; relaxed, figures only.
std::atomic<int64_t> g_longest_rendezvous{0};
std::atomic<int64_t> g_longest_bracket{0};

void Raise(std::atomic<int64_t>& longest, Nanoseconds time) {
  int64_t seen = longest.load(std::memory_order_relaxed);
  while (seen < time.count() &&
         !longest.compare_exchange_weak(seen, time.count(), std::memory_order_relaxed)) {
  }
}

void WarnAbout(const Slot& slot) {
  char text[160];
  (void)std::snprintf(text, sizeof text,
                      "thread %d has been inside one engine operation for over a second",
                      slot.tid.load(std::memory_order_relaxed));
  internal::Warn(text, "is it stopped in a debugger? the collector waits for it, nobody else does");
}

// Acquire: all that the bracket did comes before what the collector does next.
void WaitForBracket(const Slot& slot, uint64_t seen) {
  constexpr Nanoseconds kWatchdog = std::chrono::seconds(1);
  const Nanoseconds start = os::Now();
  bool warned = false;
  os::Backoff backoff;
  while (slot.seq.load(std::memory_order_acquire) == seen) {
    backoff.Pause();
    if (!warned && os::Now() - start > kWatchdog) {
      warned = true;
      WarnAbout(slot);
    }
  }
  Raise(g_longest_bracket, os::Now() - start);
}

}  // namespace

void Rendezvous() {
  const Nanoseconds start = os::Now();
  os::Membarrier();
  ForEachSlot([](const Slot& slot) {
    REEF_CHAOS_POINT("rendezvous comes to the next slot");
    const uint64_t seen = slot.seq.load(std::memory_order_acquire);
    if ((seen & 1) != 0) WaitForBracket(slot, seen);
  });
  Raise(g_longest_rendezvous, os::Now() - start);
}

Nanoseconds LongestRendezvous() {
  return Nanoseconds(g_longest_rendezvous.load(std::memory_order_relaxed));
}

Nanoseconds LongestBracket() {
  return Nanoseconds(g_longest_bracket.load(std::memory_order_relaxed));
}

}  // namespace reef::threads
