#include "lib/os/fork.h"

#include <atomic>

#include "lib/os/clock.h"
#include "lib/os/futex.h"
#include "reef/internal/check.h"

namespace reef::os {
namespace {

constexpr uint32_t kResting = 0;   // asleep, or not there
constexpr uint32_t kWorking = 1;   // in guarded work
constexpr uint32_t kInWindow = 2;  // in a window of it
constexpr uint32_t kHeld = 3;      // waits at the gate

// Sequentially consistent, both (see the header).
std::atomic<uint32_t> g_place{kResting};
std::atomic<uint32_t> g_shut{0};
// Relaxed: changes only where there is one thread.
std::atomic<uint32_t> g_generation{0};

// Relaxed: changed by the thread in guarded work, before it stores that it is in a window, so who
// reads that reads the number of this window or of a later one.
std::atomic<uint64_t> g_windows{0};

constinit thread_local bool t_working = false;    // this thread is in guarded work, in no window
constinit thread_local bool t_in_window = false;  // in a window

void StepOut(uint32_t place) {
  g_place.store(place, std::memory_order_seq_cst);
  if (g_shut.load(std::memory_order_seq_cst) != 0) FutexWakeAll(g_place);
}

void StepIn() {
  for (;;) {
    g_place.store(kWorking, std::memory_order_seq_cst);
    if (g_shut.load(std::memory_order_seq_cst) == 0) return;
    StepOut(kHeld);
    while (g_shut.load(std::memory_order_seq_cst) != 0) {
      FutexWait(g_shut, 1, std::chrono::nanoseconds(-1));
    }
  }
}

}  // namespace

void BeginGuardedWork() {
  StepIn();
  t_working = true;
}

void EndGuardedWork() {
  t_working = false;
  StepOut(kResting);
}

ForkWindow::ForkWindow() : opened_(t_working), generation_(ForkGeneration()) {
  if (!opened_) return;
  t_working = false;
  t_in_window = true;
  g_windows.fetch_add(1, std::memory_order_relaxed);
  StepOut(kInWindow);
}

ForkWindow::~ForkWindow() {
  if (!opened_) return;
  REEF_CHECK(
      generation_ == ForkGeneration(),
      "a destructor, finalizer or callback on the collector thread has forked and returned in "
      "the child",
      "end the child inside it: by exec or _exit");
  StepIn();
  t_in_window = false;
  t_working = true;
}

uint64_t CurrentWindow() {
  if (g_place.load(std::memory_order_seq_cst) != kInWindow) return 0;
  return g_windows.load(std::memory_order_relaxed);
}

void PassWindow() {
  // Not a read-modify-write: one thread at a time is in guarded work.
  if (t_in_window) {
    g_windows.store(g_windows.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
}

void ShutForkGate(std::chrono::nanoseconds patience) {
  g_shut.store(1, std::memory_order_seq_cst);
  const Nanoseconds deadline = Now() + patience;
  for (;;) {
    const uint32_t place = g_place.load(std::memory_order_seq_cst);
    if (place == kWorking) {
      FutexWait(g_place, place, std::chrono::nanoseconds(-1));
    } else if (place == kInWindow && !t_in_window) {
      const Nanoseconds left = deadline - Now();
      if (left.count() <= 0) return;
      FutexWait(g_place, place, left);
    } else {
      return;
    }
  }
}

void OpenForkGate() {
  g_shut.store(0, std::memory_order_seq_cst);
  FutexWakeAll(g_shut);
}

void OpenForkGateInChild() {
  g_generation.fetch_add(1, std::memory_order_relaxed);
  g_place.store(kResting, std::memory_order_seq_cst);
  g_shut.store(0, std::memory_order_seq_cst);
}

uint32_t ForkGeneration() { return g_generation.load(std::memory_order_relaxed); }

}  // namespace reef::os
