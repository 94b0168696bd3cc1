#include "lib/os/fault.h"

#include <atomic>
#include <new>

namespace reef::os {
namespace {

// Release when armed, acquire at the points: who finds it armed finds the range.
std::atomic<bool> g_armed{false};
// Relaxed: numbers the points, orders nothing.
std::atomic<uint64_t> g_passed{0};
std::atomic<uint64_t> g_first{0};
std::atomic<uint64_t> g_count{0};

bool IsDue() {
  const uint64_t number = g_passed.fetch_add(1, std::memory_order_relaxed);
  return number - g_first.load(std::memory_order_relaxed) < g_count.load(std::memory_order_relaxed);
}

}  // namespace

void ArmFaults(uint64_t first, uint64_t count) {
  g_first.store(first, std::memory_order_relaxed);
  g_count.store(count, std::memory_order_relaxed);
  g_passed.store(0, std::memory_order_relaxed);
  g_armed.store(true, std::memory_order_release);
}

uint64_t DisarmFaults() {
  g_armed.store(false, std::memory_order_relaxed);
  return g_passed.load(std::memory_order_relaxed);
}

bool IsFaultDue() { return g_armed.load(std::memory_order_acquire) && IsDue(); }

void ThrowIfFaultDue() {
  if (IsFaultDue()) throw std::bad_alloc();
}

}  // namespace reef::os
