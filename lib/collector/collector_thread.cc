#include "lib/collector/collector_thread.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <shared_mutex>
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
#include "lib/os/fault.h"
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

// exit runs this on the thread that has called it, before the destructors of statics.
struct ExitWatch {
  ~ExitWatch() {
    if (!t_is_collector) return;
    threads::NoteEndOfThread();
    Collector::Get().StopAtExit();
  }
  bool set = false;
};
thread_local ExitWatch t_exit_watch;

}  // namespace

void Collector::ActAsCollector(bool acts) {
  t_exit_watch.set = true;  // it has a destructor from now on
  t_is_collector = acts;
  object::ActAsFinisher(acts);
}

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
  os::SetCollectorStart([] { Get().StartAbsent(); });
  // Before its thread, which must not wait for the mutex that is held here: fork may be waiting for
  // the thread, and hold that.
  g_collector.store(this, std::memory_order_release);
  StartAbsent();
  (void)std::atexit([] { Get().StopAtExit(); });
}

// Where there is no thread, by whoever has noticed that first. If the system starts none, those who
// need the collector do its work themselves, and now and then try again.
void Collector::StartAbsent() {
  constexpr Nanoseconds kPause = std::chrono::milliseconds(100);
  const std::lock_guard<std::mutex> lock(mutex_);
  const bool may_start = !stopping_ && !working_ && os::Now() - last_start_ >= kPause;
  if (may_start && StartThread()) {
    parked_ = false;
    object::AdmitSurplus();
    return;
  }
  if (may_start) last_start_ = os::Now();
  parked_ = true;
  changed_.notify_all();
  object::RefuseSurplus();
  if (stopping_) return;
  os::NoteCollectorAbsent();
  ForgetDriver();
}

bool Collector::EnsureThread() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    last_start_ = {};
  }
  os::StartAbsentCollector();
  const std::lock_guard<std::mutex> lock(mutex_);
  return stopping_ || !parked_;
}

bool Collector::StartThread() {
  if (os::IsFaultDue()) return false;
  // The thread takes no signals: handlers are the program's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    std::thread([this] { Loop(); }).detach();
  } catch (const std::exception&) {  // no thread, or no memory for one
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
  stopping_ = true;
  object::RefuseSurplus();
  parked_ = os::TakeCollectorAbsence() || parked_;
  os::RingBellUrgently();
  // Bounded: a destructor that never returns must not keep the process from ending; nor must one
  // that has called exit.
  const Nanoseconds deadline = os::Now() + HoldUp::kPatienceOfAnEnd;
  const auto rests = [this, deadline] {
    return parked_ || t_is_collector || os::Now() >= deadline;
  };
  (void)Await(&lock, Purpose::kHeapEnd, rests);
  stuck_ = !parked_ || t_is_collector;
  changed_.notify_all();
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
  stuck_ = false;
  last_start_ = {};
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
bool EnsureThread() { return Collector::Get().EnsureThread(); }
bool IsHeldUp() { return Collector::Get().IsHeldUp(); }
bool IsStarted() { return g_collector.load(std::memory_order_acquire) != nullptr; }
void HoldForFork() { Collector::Get().HoldForFork(); }
void ReleaseAfterFork() { Collector::Get().Release(); }
void BeginAsChild() { Collector::Get().BeginAsChild(); }

}  // namespace reef::collector
