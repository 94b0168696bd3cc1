#include "lib/os/bell.h"

#include <atomic>
#include <cstdint>

#include "lib/os/futex.h"

namespace reef::os {
namespace {

constexpr uint32_t kAwake = 0;
constexpr uint32_t kNapping = 1;
constexpr uint32_t kAsleep = 2;

// Sequentially consistent on both sides (see the header).
std::atomic<uint32_t> g_collector{kAwake};
std::atomic<bool> g_active{false};
// Set where there is one thread; afterwards who exchanges it for false starts the collector.
std::atomic<bool> g_absent{false};
// Relaxed: set before there is a collector that could be absent.
std::atomic<void (*)()> g_start{nullptr};

void Rest(uint32_t state, std::chrono::nanoseconds timeout, bool (*has_work)()) {
  (void)g_collector.exchange(state, std::memory_order_seq_cst);
  if (!has_work()) FutexWait(g_collector, state, timeout);
  g_collector.store(kAwake, std::memory_order_seq_cst);
}

}  // namespace

void RingBell() {
  uint32_t state = g_collector.load(std::memory_order_seq_cst);
  if (state != kAsleep) return;
  if (g_collector.compare_exchange_strong(state, kAwake, std::memory_order_seq_cst)) {
    FutexWakeAll(g_collector);
  }
}

void NoteActivity() {
  if (g_active.load(std::memory_order_relaxed)) return;
  if (!g_active.exchange(true, std::memory_order_seq_cst)) RingBell();
}

bool HasActivity() { return g_active.load(std::memory_order_relaxed); }

bool TakeActivity() { return g_active.exchange(false, std::memory_order_seq_cst); }

bool IsCollectorAbsent() { return g_absent.load(std::memory_order_relaxed); }

void StartAbsentCollector() {
  if (!IsCollectorAbsent()) return;
  if (g_absent.exchange(false, std::memory_order_acq_rel))
    g_start.load(std::memory_order_relaxed)();
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

void Nap(std::chrono::nanoseconds timeout, bool (*has_urgent_work)()) {
  Rest(kNapping, timeout, has_urgent_work);
}

}  // namespace reef::os
