#include "lib/collector/collector.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "lib/collector/collector_thread.h"
#include "lib/collector/control.h"
#include "lib/collector/cycle.h"
#include "lib/collector/finalize.h"
#include "lib/collector/gate.h"
#include "lib/collector/housekeeping.h"
#include "lib/collector/pacer.h"
#include "lib/collector/report.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/object/surplus.h"
#include "lib/os/bell.h"
#include "lib/os/fork.h"
#include "reef/internal/slot.h"

namespace reef::collector {
namespace {

using std::chrono::milliseconds;

// While memory is on its way back, or the program has been active; also the pacer's period.
constexpr Nanoseconds kTick = kLongestNap;
// Otherwise: only to look at the suspects of a program that neither allocates nor frees.
constexpr Nanoseconds kLongSleep = std::chrono::seconds(1);
// How long a requested collection waits for scopes that hold retired objects back.
constexpr Nanoseconds kSettlePatience = milliseconds(100);

}  // namespace

void Collector::Enter(CollectedHeap* heap) {
  const std::lock_guard<std::mutex> lock(mutex_);
  heaps_.push_back(heap);
}

bool Collector::Leave(CollectedHeap* heap) {
  const GateHolder open;
  std::unique_lock<std::mutex> lock(mutex_);
  if (!Await(&lock, Purpose::kHeapEnd, [&] { return !working_; })) return false;
  std::erase(heaps_, heap);
  return true;
}

bool Collector::IsHeldUp() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stuck_ || hold_up_.Lasts(os::Now(), HoldUp::kPatienceOfAnEnd);
}

Collector::Job Collector::JobFor(Purpose purpose) {
  return {.emergency = purpose != Purpose::kCollect, .memory_only = purpose == Purpose::kMemory};
}

std::optional<CollectionReport> Collector::Request(CollectedHeap* heap, Purpose purpose) {
  os::StartAbsentCollector();
  const GateHolder open;
  std::unique_lock<std::mutex> lock(mutex_);
  if (stopping_ || parked_) return ServeHere(heap, purpose, &lock);
  return AskThread(heap, purpose, &lock);
}

std::optional<CollectionReport> Collector::AskThread(CollectedHeap* heap, Purpose purpose,
                                                     std::unique_lock<std::mutex>* lock) {
  const Job job = JobFor(purpose);
  const CollectionReport before = heap->totals;
  const uint64_t ticket = ++heap->requested;
  heap->emergency = heap->emergency || job.emergency;
  heap->memory_only = heap->memory_only && job.memory_only;
  os::RingBellUrgently();
  const auto done = [&] { return heap->served >= ticket || parked_ || stuck_; };
  if (!Await(lock, purpose, done)) return std::nullopt;
  if (heap->served < ticket) return ServeHere(heap, purpose, lock);
  // What was found since the call. Not the report of the request's own service: what this caller
  // made may have been found for another one's, and a later service may have come before it woke.
  return Difference(heap->totals, before);
}

// Without a thread, while the process ends above all: does the work on the calling thread, whose
// the collector's state is then, one thread after the other. For an allocation only what runs no
// user code: that may want what the thread holds.
std::optional<CollectionReport> Collector::ServeHere(CollectedHeap* heap, Purpose purpose,
                                                     std::unique_lock<std::mutex>* lock) {
  const auto ready = [this] { return stuck_ || (parked_ ? !working_ : !stopping_); };
  if (!Await(lock, purpose, ready) || stuck_) return std::nullopt;
  if (!parked_) return AskThread(heap, purpose, lock);
  const bool destroys = purpose == Purpose::kCollect || purpose == Purpose::kHeapEnd;
  if (!destroys && cut_off_) return std::nullopt;
  const CollectionReport before = heap->totals;
  Job job = JobFor(purpose);
  job.destroys = destroys;
  job.ticket = ++heap->requested;
  working_ = true;
  hold_up_.SetWorker(internal::CurrentSlot());
  lock->unlock();
  ActAsCollector(true);
  os::BeginGuardedWork();
  if (destroys) FinishCutOffs();
  Serve(heap, job);
  // Before the next one's begins: there is one place for both.
  os::EndGuardedWork();
  ActAsCollector(false);
  lock->lock();
  EndServing(heap, job);
  if (!destroys) return std::nullopt;
  return Difference(heap->totals, before);
}

CollectedHeap* Collector::NextRequest(Job* job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < heaps_.size(); ++i) {
    const size_t at = (next_ + i) % heaps_.size();
    CollectedHeap* heap = heaps_[at];
    if (heap->served >= heap->requested) continue;
    next_ = at + 1;
    working_ = true;
    at_hand_ = heaps_;
    *job = {.ticket = heap->requested,
            .emergency = std::exchange(heap->emergency, false),
            .memory_only = std::exchange(heap->memory_only, true)};
    return heap;
  }
  return nullptr;
}

void Collector::Serve(CollectedHeap* heap, const Job& job) {
  // However many allocations fail, they spend no more than a tenth of the time in waiting for
  // scopes that hold objects or slabs back: after such a wait a look is enough for a while.
  const Nanoseconds start = os::Now();
  const bool is_short = (job.memory_only || !job.destroys) && start < short_until_;
  const Nanoseconds patience = is_short ? kShortestNap : kSettlePatience;
  bool done = !job.destroys || Destroy(heap, job, patience);
  if (job.emergency) {
    EmptyOrphans(&HeapsNow);
    done = ReturnAllMemory(heap, patience) && done;
  }
  const Nanoseconds now = os::Now();
  if (!done && !is_short) short_until_ = now + 9 * (now - start);
}

// What of a request runs user code: settles, and collects. False if something could not be settled.
bool Collector::Destroy(CollectedHeap* heap, const Job& job, Nanoseconds patience) {
  // What is pending or retired may hold cycles, and destructors of garbage may make more of it:
  // again while a round finds something, but not for ever.
  constexpr int kMaxRounds = 4;
  if (std::exchange(heap->finalize_reachable, false)) FinalizeReachable(heap);
  // What cannot be settled in that time waits for a sleeper: from then on a look is enough.
  const auto settle = [&patience] {
    const bool settled = SettleAll(patience);
    if (!settled) patience = kShortestNap;
    return settled;
  };
  for (int round = 0; !job.memory_only && round < kMaxRounds; ++round) {
    (void)settle();
    const Outcome outcome =
        RunCycle(heap, job.emergency ? CollectionCause::kMemory : CollectionCause::kRequest);
    if (outcome.report.objects == 0 && !outcome.incomplete) break;
  }
  return settle();
}

// Gives up the work that NextRequest or ServeHere took; under mutex_.
void Collector::EndServing(CollectedHeap* heap, const Job& job) {
  heap->served = job.ticket;
  working_ = false;
  changed_.notify_all();
}

void Collector::Poll() {
  Collector& collector = Get();
  // Several markers come to an end together, or not at all.
  if (collector.alone_) YieldAtGate();
  const Nanoseconds now = os::Now();
  if (now - collector.last_poll_ < kShortestNap) return;
  collector.last_poll_ = now;
  (void)Settle();
}

Collector::Outcome Collector::RunCycle(CollectedHeap* heap, CollectionCause cause) {
  if (!heap->control->Begin(heap, cause)) return {};
  const uint64_t suspects = CountSuspects();
  const uint64_t external = heap->space->external_bytes();
  const uint64_t bytes = TracedBytes(*heap->space) + external;
  alone_ = heap->options.marker_threads == 1;
  const Nanoseconds at_gate = TimeAtGate();
  Cycle cycle(heap, &Collector::Poll);
  const CollectionReport report = cycle.Run();
  const bool aborted = report.aborted != 0;
  // The objects whose finalizers were taken are the next one's.
  const bool again = aborted || report.finalized != 0;
  NoteCollection(heap, report, suspects, bytes, again || cycle.conservative(), external);
  heap->pacing.duration -= TimeAtGate() - at_gate;  // no share of a core
  const bool incomplete = again || (cycle.conservative() && !cycle.WaitsForScope());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    heap->bytes_left = heap->pacing.traced_bytes;
    heap->last = report;
    AddReport(&heap->totals, report);
  }
  heap->control->End(heap, report);
  return {report, incomplete};
}

// No heap that is there now leaves before the work ends. (There is room for all: Start has seen to
// it, so that nothing is allocated where memory may be exhausted.)
void Collector::StartWork() {
  const std::lock_guard<std::mutex> lock(mutex_);
  at_hand_ = heaps_;
  working_ = true;
}

// During a piece of work: also the heaps that were made since it began.
const std::vector<CollectedHeap*>& Collector::HeapsNow() {
  Collector& collector = Get();
  const std::lock_guard<std::mutex> lock(collector.mutex_);
  collector.at_hand_ = collector.heaps_;
  return collector.at_hand_;
}

void Collector::EndWork() {
  const std::lock_guard<std::mutex> lock(mutex_);
  working_ = false;
  changed_.notify_all();
}

// The periodic part. True if there is more to do soon.
bool Collector::Tick(Nanoseconds now) {
  last_tick_ = now;
  bool more = false;
  EmptyOrphans(&HeapsNow);
  for (CollectedHeap* heap : at_hand_) {
    heap->control->Adopt(heap);
    if (IsDue(*heap, now)) (void)RunCycle(heap, CollectionCause::kAutomatic);
    more = ReturnMemory(heap) || more;
  }
  return more;
}

bool Collector::HasRequest() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return true;
  return std::any_of(heaps_.begin(), heaps_.end(),
                     [](const CollectedHeap* heap) { return heap->served < heap->requested; });
}

bool Collector::HasSmallWork() {
  return object::CountPending() != 0 || object::RetiredBytes() != 0 || object::HasSurplus();
}

bool Collector::HasRequestNow() { return Get().HasRequest(); }
bool Collector::HasUrgentWork() { return HasRequestNow() || IsDriven(); }
bool Collector::HasWorkNow() { return HasUrgentWork() || HasSmallWork(); }
bool Collector::HasAnyWork() { return HasWorkNow() || os::HasActivity(); }

void Collector::ParkIfStopping() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!stopping_) return;
  // What was dropped before is destroyed before older statics are.
  working_ = true;
  lock.unlock();
  os::BeginGuardedWork();  // a destructor that forks here does not come back in its child either
  while (object::DestroySurplus(internal::CurrentSlot())) {
  }
  (void)Settle();
  os::EndGuardedWork();
  lock.lock();
  working_ = false;
  parked_ = true;
  stuck_ = false;
  changed_.notify_all();
  changed_.wait(lock, [] { return false; });
}

void Collector::Loop() {
  ActAsCollector(true);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    hold_up_.SetWorker(internal::CurrentSlot());
  }
  bool quiet = false;
  for (;;) {
    ParkIfStopping();
    const bool let_in = IsDriven() && IsLetIn();
    os::BeginGuardedWork();
    FinishCutOffs();
    Job job;
    if (CollectedHeap* heap = NextRequest(&job)) {
      Serve(heap, job);
      const std::lock_guard<std::mutex> lock(mutex_);
      EndServing(heap, job);
    }
    const Nanoseconds now = os::Now();
    StartWork();
    // Who drives has come to get it done: nothing need gather.
    if (let_in || now - last_settle_ >= kShortestNap) {
      (void)Settle();
      last_settle_ = now;
    }
    const bool surplus = object::DestroySurplus(internal::CurrentSlot());
    if (now - last_tick_ >= kTick) {
      const bool active = os::TakeActivity();
      const bool more = Tick(now);
      quiet = !more && !active;
    }
    EndWork();
    os::EndGuardedWork();
    if (surplus) YieldAtGate();
    if (surplus || HasRequest()) continue;
    if (IsDriven()) {
      if (rest_.MayGoOn(&HasRequestNow) && HasSmallWork()) {
        YieldAtGate();
      } else {
        RestAtGate(let_in);
      }
    } else if (HasSmallWork()) {
      rest_.FromSmallWork(&HasUrgentWork);
    } else {
      rest_.Reset();
      os::SleepUntilRung(quiet ? kLongSleep : kTick, quiet ? &HasAnyWork : &HasWorkNow);
      if (os::HasActivity()) quiet = false;
    }
  }
}

void Collector::FillStats(CollectedHeap* heap, HeapStats* stats) {
  const std::lock_guard<std::mutex> lock(mutex_);
  FillFigures(*heap, stats);
}

CollectionReport Collect(CollectedHeap* heap) {
  return Collector::Get().Request(heap, Collector::Purpose::kCollect).value_or(CollectionReport());
}

bool CollectAtEnd(CollectedHeap* heap) {
  return Collector::Get().Request(heap, Collector::Purpose::kHeapEnd).has_value();
}

std::optional<CollectionReport> CollectForAllocation(CollectedHeap* heap) {
  return Collector::Get().Request(heap, Collector::Purpose::kAllocation);
}

void ReturnFreeMemory(CollectedHeap* heap) {
  (void)Collector::Get().Request(heap, Collector::Purpose::kMemory);
}

void EnterHeap(CollectedHeap* heap) { Collector::Get().Enter(heap); }
bool LeaveHeap(CollectedHeap* heap) { return Collector::Get().Leave(heap); }

void FillStats(CollectedHeap* heap, HeapStats* stats) { Collector::Get().FillStats(heap, stats); }

bool IsCollectorThread() { return t_is_collector; }

bool IsCollecting(const CollectedHeap* heap) {
  return heap->collecting.load(std::memory_order_seq_cst);
}

}  // namespace reef::collector
