#include "lib/collector/control.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <utility>

#include "lib/collector/gate.h"
#include "lib/object/finalizer.h"
#include "lib/os/bell.h"
#include "lib/os/fault.h"
#include "lib/os/fork.h"

namespace reef::collector {
namespace {

// In the manner of Python's gc.DEBUG_STATS: a line per collection, written at once. No memory is
// asked for: there may be none.
void PrintStatistics(const CollectedHeap& heap, const CollectionRecord& record) {
  const CollectionReport& report = record.report;
  const auto millis = [](Nanoseconds time) { return static_cast<double>(time.count()) / 1e6; };
  char text[640];
  int length = std::snprintf(text, sizeof text,
                             "reef: heap %" PRIu32 " collection %" PRIu64 " (%s)%s: %" PRIu64
                             " objects, %" PRIu64 " bytes reclaimed, %" PRIu64
                             " finalized, %" PRIu64 " kept, %" PRIu64 " marked from %" PRIu64
                             " roots, %" PRIu64 " logged, %" PRIu64 " traced bytes left, %.3f ms:",
                             heap.core->index, record.number, CauseName(record.cause),
                             report.aborted != 0 ? " gave up" : "", report.objects, report.bytes,
                             report.finalized, report.kept, report.marked, report.roots,
                             report.logged, record.traced_bytes, millis(report.total_time));
  for (int i = 0; i < kPhases; ++i) {
    length += std::snprintf(text + length, sizeof text - static_cast<size_t>(length), " %s %.3f",
                            PhaseName(static_cast<Phase>(i)), millis(report.phase_time[i]));
  }
  (void)std::fprintf(stderr, "%s\n", text);
}

}  // namespace

void Callback::Call(const CollectionEvent& event) {
  Function ended;  // as in Remove
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  if (!removed()) {
    running_ = true;
    object::CallUser({.phase = "collection callback"}, [&] { function_(event); });
    running_ = false;
  }
  if (removed()) ended = TakeFunction();  // by itself, or without waiting
}

void Callback::Remove() {
  // What it has captured is the program's, and ends outside the mutex.
  Function ended;
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  RemoveLater();
  if (!running_) ended = TakeFunction();
}

void Callback::ForgetCall() {
  // A mutex that is held by a thread that is not there can only be made anew.
  new (&mutex_) std::recursive_mutex;
  running_ = false;
}

Callback::Function Callback::TakeFunction() {
  over_.store(true, std::memory_order_relaxed);
  return std::exchange(function_, nullptr);
}

// What makes collections start by themselves again, or sooner, is activity that the pacer should
// look at before long.
void Control::SetAutomatic(bool automatic) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    options_.automatic = automatic;
  }
  os::NoteActivity();
}

void Control::Pause() { pauses_.fetch_add(1, std::memory_order_seq_cst); }

void Control::Resume() {
  pauses_.fetch_sub(1, std::memory_order_seq_cst);
  os::NoteActivity();
}

bool Control::IsPaused() const { return pauses_.load(std::memory_order_seq_cst) != 0; }

bool Control::StartsByItself() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return options_.automatic && !IsPaused();
}

void Control::SetPacing(const CollectorOptions& pacing) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    options_.growth_percent = pacing.growth_percent;
    options_.growth_bytes = pacing.growth_bytes;
    options_.cpu_percent = pacing.cpu_percent;
    options_.marker_threads = pacing.marker_threads;
  }
  os::NoteActivity();
}

void Control::SetDebugging(const Debugging& debugging) {
  const std::lock_guard<std::mutex> lock(mutex_);
  options_.debugging = debugging;
}

CollectorOptions Control::options() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return options_;
}

void Control::MakeDue() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    due_ = true;
  }
  os::NoteActivity();
}

void Control::Add(std::shared_ptr<Callback> callback) {
  const std::lock_guard<std::mutex> lock(mutex_);
  callbacks_.push_back(std::move(callback));
}

void Control::Remove(const std::shared_ptr<Callback>& callback) {
  callback->Remove();
  const std::lock_guard<std::mutex> lock(mutex_);
  // While the list is walked nothing in it moves; the walk then ends by clearing up.
  if (walks_ == 0) std::erase(callbacks_, callback);
}

void Control::EndCalls() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& callback : callbacks_) callback->RemoveLater();
}

// One after the other, in the order of their registration, without the mutex and without memory.
template <typename Action>
void Control::ForEachCallback(Action action) {
  std::unique_lock<std::mutex> lock(mutex_);
  ++walks_;
  for (size_t i = 0; i < callbacks_.size(); ++i) {
    const std::shared_ptr<Callback> callback = callbacks_[i];
    lock.unlock();
    {
      const os::ForkWindow window;
      action(*callback);
    }
    lock.lock();
  }
  if (--walks_ != 0) return;
  std::erase_if(callbacks_, [](const auto& callback) { return callback->over(); });
}

void Control::Announce(const CollectionEvent& event) {
  ForEachCallback([&event](Callback& callback) { callback.Call(event); });
}

void Control::EndCutOffCalls() {
  ForEachCallback([](Callback& callback) {
    if (callback.removed()) callback.Remove();
  });
}

std::vector<CollectionRecord> Control::History() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t count = std::min<uint64_t>(recorded_, kHistoryLength);
  std::vector<CollectionRecord> records;
  records.reserve(count);
  for (uint64_t i = recorded_ - count; i < recorded_; ++i) {
    records.push_back(history_[i % kHistoryLength]);
  }
  return records;
}

void Control::TakeKept(const std::function<void(const std::vector<Header*>&)>& take) {
  const std::lock_guard<std::mutex> lock(mutex_);
  take(kept_);
  kept_.clear();  // and not its memory: ReserveKept has promised it
}

std::vector<Header*> Control::GiveUpKept() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(kept_, {});
}

void Control::ForgetOthers(CollectedHeap* heap) {
  heap->collecting.store(false, std::memory_order_relaxed);
  holders_ = 0;  // nothing of the program's runs between HoldOff and LetGo
  begun_ = false;
  walks_ = 0;
  for (const auto& callback : callbacks_) callback->ForgetCall();
}

bool Control::HoldOff() {
  return HoldOffUnless([] { return false; });
}

bool Control::HoldOffUnless(bool (*held_up)()) {
  constexpr Nanoseconds kLook = std::chrono::milliseconds(20);
  const GateHolder open;
  std::unique_lock<std::mutex> lock(mutex_);
  if (begun_ && runner_ == std::this_thread::get_id()) return false;
  while (!changed_.wait_for(lock, kLook, [this] { return !begun_; })) {
    lock.unlock();  // under which no other is taken
    if (held_up()) return false;
    lock.lock();
  }
  ++holders_;
  return true;
}

void Control::LetGo() {
  const std::lock_guard<std::mutex> lock(mutex_);
  --holders_;
  changed_.notify_all();
}

void Control::AdoptLocked(CollectedHeap* heap) {
  // The scale was learnt for another percentage.
  if (heap->options.growth_percent != options_.growth_percent) heap->pacing.scaled_percent = 0;
  heap->options = options_;
  // Markers beside the collector's thread would not stop at the gate.
  if (IsDriven()) heap->options.marker_threads = 1;
  heap->options.automatic = options_.automatic && !IsPaused();
  heap->pacing.due = heap->pacing.due || std::exchange(due_, false);
}

void Control::Adopt(CollectedHeap* heap) {
  const std::lock_guard<std::mutex> lock(mutex_);
  AdoptLocked(heap);
}

bool Control::Begin(CollectedHeap* heap, CollectionCause cause) {
  CollectionEvent event;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    heap->collecting.store(true, std::memory_order_seq_cst);
    if (cause == CollectionCause::kAutomatic && (!options_.automatic || IsPaused())) {
      heap->collecting.store(false, std::memory_order_seq_cst);
      return false;
    }
    cause_ = cause;
    event.cause = cause;
    event.number = ++number_;
  }
  Announce(event);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return holders_ == 0; });
  begun_ = true;
  runner_ = std::this_thread::get_id();
  AdoptLocked(heap);
  return true;
}

void Control::End(CollectedHeap* heap, const CollectionReport& report) {
  CollectionRecord record{.number = number_,
                          .cause = cause_,
                          .ended = std::chrono::system_clock::now(),
                          .traced_bytes = heap->pacing.traced_bytes,
                          .report = report};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    begun_ = false;
    heap->collecting.store(false, std::memory_order_seq_cst);
    history_[recorded_++ % kHistoryLength] = record;
    changed_.notify_all();
  }
  if (heap->options.debugging.print_statistics) PrintStatistics(*heap, record);
  Announce({.moment = CollectionEvent::Moment::kStop,
            .cause = record.cause,
            .number = record.number,
            .report = report});
}

bool Control::ReserveKept(uint64_t count) {
  if (os::IsFaultDue()) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  try {
    kept_.reserve(kept_.size() + count);
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const std::length_error&) {
    return false;
  }
  return true;
}

void Control::Keep(Header* header) {
  const std::lock_guard<std::mutex> lock(mutex_);
  kept_.push_back(header);
}

}  // namespace reef::collector
