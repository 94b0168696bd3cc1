#include "lib/os/bell.h"

#include <atomic>
#include <cstdint>

#include "lib/os/chaos.h"
#include "lib/os/futex.h"

namespace reef::os {
namespace {

constexpr uint32_t kAwake = 0;
constexpr uint32_t kNapping = 1;
constexpr uint32_t kDozing = 2;
constexpr uint32_t kAsleep = 3;

// Sequentially consistent on both sides (see the header).
std::atomic<uint32_t> g_collector{kAwake};
std::atomic<bool> g_active{false};
// Set where there is one thread; afterwards who exchanges it for false starts the collector.
std::atomic<bool> g_absent{false};
// Relaxed: set before there is a collector that could be absent.
std::atomic<void (*)()> g_start{nullptr};

void Rest(uint32_t state, std::chrono::nanoseconds timeout, bool (*has_work)()) {
  (void)g_collector.exchange(state, std::memory_order_seq_cst);
  REEF_CHAOS_POINT("rest announced, work not looked for");
  if (!has_work()) FutexWait(g_collector, state, timeout);
  g_collector.store(kAwake, std::memory_order_seq_cst);
}

// Wakes a collector that rests at least as deeply as `lightest`.
void Ring(uint32_t lightest) {
  uint32_t state = g_collector.load(std::memory_order_seq_cst);
  if (state < lightest) return;
  if (g_collector.compare_exchange_strong(state, kAwake, std::memory_order_seq_cst)) {
    FutexWakeAll(g_collector);
  }
}

}  // namespace

void RingBell() { Ring(kDozing); }
void RingBellForMore() { Ring(kAsleep); }

void NoteActivity() {
  if (g_active.load(std::memory_order_relaxed)) return;
  if (!g_active.exchange(true, std::memory_order_seq_cst)) RingBellForMore();
}

bool HasActivity() { return g_active.load(std::memory_order_relaxed); }

bool TakeActivity() { return g_active.exchange(false, std::memory_order_seq_cst); }

bool IsCollectorAbsent() { return g_absent.load(std::memory_order_relaxed); }

bool TakeCollectorAbsence() {
  return IsCollectorAbsent() && g_absent.exchange(false, std::memory_order_acq_rel);
}

void StartAbsentCollector() {
  if (TakeCollectorAbsence()) g_start.load(std::memory_order_relaxed)();
}

void SetCollectorStart(void (*start)()) { g_start.store(start, std::memory_order_relaxed); }

void NoteCollectorAbsent() {
  g_collector.store(kAwake, std::memory_order_relaxed);
  g_absent.store(true, std::memory_order_release);
}

void RingBellUrgently() {
  if (g_collector.exchange(kAwake, std::memory_order_seq_cst) != kAwake) {
    FutexWakeAll(g_collector);
  }
}

void SleepUntilRung(std::chrono::nanoseconds timeout, bool (*has_work)()) {
  Rest(kAsleep, timeout, has_work);
}

void Doze(std::chrono::nanoseconds timeout, bool (*has_new_work)()) {
  Rest(kDozing, timeout, has_new_work);
}

void Nap(std::chrono::nanoseconds timeout, bool (*has_urgent_work)()) {
  Rest(kNapping, timeout, has_urgent_work);
}

}  // namespace reef::os
