#include "lib/collector/collector_thread.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <system_error>
#include <thread>

#include "lib/collector/collector.h"
#include "lib/collector/control.h"
#include "lib/collector/cut_off.h"
#include "lib/collector/gate.h"
#include "lib/collector/housekeeping.h"
#include "lib/object/dying.h"
#include "lib/object/finalizer.h"
#include "lib/object/revocation.h"
#include "lib/object/surplus.h"
#include "lib/os/bell.h"
#include "lib/os/fork.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"
#include "reef/internal/slot.h"

namespace reef::collector {
namespace {

// Made with the first heap and never destroyed: it outlives all static and thread_local
// destructors. Release when it may be used, acquire by its users.
std::atomic<Collector*> g_collector{nullptr};
constinit std::mutex g_start_mutex;

}  // namespace

Collector& Collector::Get() {
  Collector* collector = g_collector.load(std::memory_order_acquire);
  if (REEF_LIKELY(collector != nullptr)) return *collector;
  const std::lock_guard<std::mutex> lock(g_start_mutex);
  collector = g_collector.load(std::memory_order_relaxed);
  if (collector != nullptr) return *collector;
  alignas(Collector) static unsigned char storage[sizeof(Collector)];
  collector = new (storage) Collector;
  collector->Start();
  return *collector;
}

void Collector::Start() {
  SetDrivenAsTheEnvironmentSays();
  heaps_.reserve(internal::kMaxHeaps);
  at_hand_.reserve(internal::kMaxHeaps);
  threads::SetThreadEndHook([](internal::Slot* slot) { object::RevokePending(slot, *slot); });
  os::SetCollectorStart([] {
    REEF_CHECK(Get().StartThread(), "the system starts no thread for the collector of a child",
               "raise the limit on threads (ulimit -u)");
  });
  // Before its thread, which must not wait for the mutex that is held here: fork may be waiting for
  // the thread, and hold that.
  g_collector.store(this, std::memory_order_release);
  REEF_CHECK(StartThread(), "the system starts no thread for the collector",
             "raise the limits on threads (ulimit -u) and on virtual memory (ulimit -v)");
  object::AdmitSurplus();
  (void)std::atexit([] { Get().StopAtExit(); });
}

bool Collector::StartThread() {
  // The thread takes no signals: handlers are the program's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    std::thread([this] { Loop(); }).detach();
  } catch (const std::system_error&) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

// Parks the thread between two pieces of work, so that it runs no destructors while the program's
// statics are destroyed. Called by exit() on a thread that may not be the collector's. Whoever asks
// for a collection afterwards, the destructor of a static Heap first of all, runs it himself.
void Collector::StopAtExit() {
  StopDriving();
  std::unique_lock<std::mutex> lock(mutex_);
  if (t_is_collector) return;
  stopping_ = true;
  object::RefuseSurplus();
  parked_ = parked_ || os::TakeCollectorAbsence();
  os::RingBellUrgently();
  // Bounded: a destructor that never returns must not keep the process from ending.
  changed_.wait_for(lock, std::chrono::seconds(5), [this] { return parked_; });
}

// Held by a thread that forks: after the gate, so that the collector thread holds none of it.
void Collector::HoldForFork() {
  mutex_.lock();
  GateMutex().lock();
  for (CollectedHeap* heap : heaps_) {
    heap->control->mutex().lock();
    heap->emergencies.mutex.lock();
    heap->space->huge_mutex().lock();
  }
}

void Collector::Release() {
  for (CollectedHeap* heap : heaps_) {
    heap->space->huge_mutex().unlock();
    heap->emergencies.mutex.unlock();
    heap->control->mutex().unlock();
  }
  GateMutex().unlock();
  mutex_.unlock();
}

// In the child, while there is one thread, and no collection is armed any more. Whoever waited for
// something is gone, and the collector thread with what it had at hand.
void Collector::BeginAsChild() {
  t_is_collector = false;
  working_ = false;
  parked_ = stopping_;
  cut_off_ = true;
  ForgetOthersAtGate();
  at_hand_.clear();
  for (CollectedHeap* heap : heaps_) {
    heap->served = heap->requested;
    heap->emergency = false;
    heap->memory_only = true;
    heap->space->ShowAllSegments();
    // Threads that walked the slabs are gone and still counted in it.
    new (&heap->layout) std::shared_mutex;
    heap->control->ForgetOthers(heap);
    DecideCutOff(heap);
  }
  // While the process ends nobody starts it any more.
  if (!stopping_) os::NoteCollectorAbsent();
}

// In the child of a fork, before any other work.
void Collector::FinishCutOffs() {
  if (REEF_LIKELY(!cut_off_)) return;
  StartWork();
  DestroyHandedOver();
  for (CollectedHeap* heap : at_hand_) {
    heap->control->EndCutOffCalls();
    FinishCutOff(heap, &Collector::Poll);
  }
  internal::Slot* slot = internal::CurrentSlot();
  object::TakeUpLostFinalizers(slot);
  cut_off_ = false;
  const os::ForkWindow window;
  object::Drain(slot);
}

std::mutex& StartMutex() { return g_start_mutex; }
bool IsStarted() { return g_collector.load(std::memory_order_acquire) != nullptr; }
void HoldForFork() { Collector::Get().HoldForFork(); }
void ReleaseAfterFork() { Collector::Get().Release(); }
void BeginAsChild() { Collector::Get().BeginAsChild(); }

}  // namespace reef::collector
