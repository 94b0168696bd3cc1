// Control: what a program sets for a heap's collections, and what it is told of them. The meeting
// place of any thread with the collector's.
//
// Everything but the pauses is under one mutex, which is never held while user code runs and never
// taken on a program's fast paths. The collector takes the options over as a whole, between
// collections, so it never sees half of a change.
//
// Invariants:
//  - An automatic collection starts only in Begin, if it is enabled and nobody pauses it. Begin
//    stores CollectedHeap::collecting, then looks for pauses; Pause counts itself, and its caller
//    may look whether one is collecting, all sequentially consistent. So once Pause has returned
//    none starts, but for one that shows.
//  - Between HoldOff and LetGo no collection of the heap is under way.
//  - A callback runs under its own mutex, so once Remove has returned it neither runs nor will,
//    unless Remove was called by the callback itself.
#ifndef REEF_LIB_COLLECTOR_CONTROL_H_
#define REEF_LIB_COLLECTOR_CONTROL_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "lib/collector/collected_heap.h"
#include "lib/os/condition.h"
#include "reef/stats.h"

namespace reef::collector {

// A function that the program wants called.
class Callback {
 public:
  using Function = std::function<void(const CollectionEvent&)>;

  explicit Callback(Function function) : function_(std::move(function)) {}
  // What it throws goes to the unraisable hook.
  void Call(const CollectionEvent& event);
  // Waits for a call on another thread.
  void Remove();
  // Does not wait. The function stays until the next call would come, or its handle ends.
  void RemoveLater() { removed_.store(true, std::memory_order_relaxed); }
  bool removed() const { return removed_.load(std::memory_order_relaxed); }
  // And its function is gone.
  bool over() const { return over_.load(std::memory_order_relaxed); }
  // The child of a fork: a call on another thread is none any more. What a removed function has
  // captured is there until Remove is called again.
  void ForgetCall();

 private:
  // Under the mutex.
  Function TakeFunction();

  // Recursive: a callback may remove itself.
  std::recursive_mutex mutex_;
  Function function_;
  bool running_ = false;
  // Relaxed: who is to see a removal waits for the mutex, or for nothing.
  std::atomic<bool> removed_{false};
  // Written under the mutex; relaxed: without it read to clear up only.
  std::atomic<bool> over_{false};
};

class Control {
 public:
  explicit Control(const CollectorOptions& options) : options_(options) {}

  // --- the program, any thread ---
  void SetAutomatic(bool automatic);
  // Counted. Between the two nothing starts by itself. Wait-free.
  void Pause();
  void Resume();
  // Enabled, and not paused.
  bool StartsByItself() const;
  // Growth, share of a core and marker threads; from the next collection on.
  void SetPacing(const CollectorOptions& pacing);
  void SetDebugging(const Debugging& debugging);
  CollectorOptions options() const;
  // The next collection is due, whatever the suspects say.
  void MakeDue();

  void Add(std::shared_ptr<Callback> callback);
  void Remove(const std::shared_ptr<Callback>& callback);

  // The oldest first.
  std::vector<CollectionRecord> History() const;

  // The objects kept so far, each with a root that the caller takes over if `take` returns. Throws
  // what `take` throws, and then keeps them.
  void TakeKept(const std::function<void(const std::vector<Header*>&)>& take);

  // Takes the kept objects over at the heap's end: nothing is kept from then on.
  std::vector<Header*> GiveUpKept();
  // Nobody is called any more, but for a call under way, which is not waited for.
  void EndCalls();

  // Waits until no collection is under way and lets none begin. False if the calling thread is the
  // one that runs it, and would wait for itself.
  [[nodiscard]] bool HoldOff();
  // The same, and false if `held_up` says so, which is asked now and then.
  [[nodiscard]] bool HoldOffUnless(bool (*held_up)());
  void LetGo();

  // --- fork ---
  // Held meanwhile.
  std::mutex& mutex() { return mutex_; }
  // The child: nobody else holds a collection off or runs one.
  void ForgetOthers(CollectedHeap* heap);
  // The child's collector thread, before other work: functions that had been removed in a call that
  // was cut off end, with what they have captured, which may be anything of the program's.
  void EndCutOffCalls();

  // --- the collector ---
  // Takes the options over.
  void Adopt(CollectedHeap* heap);
  // False, and nothing has happened, if this cause must not start one now. Otherwise calls the
  // callbacks, and takes the options over.
  [[nodiscard]] bool Begin(CollectedHeap* heap, CollectionCause cause);
  // After it: remembers, prints if asked to, calls the callbacks.
  void End(CollectedHeap* heap, const CollectionReport& report);
  // Room for so many more kept objects; false if there is no memory.
  [[nodiscard]] bool ReserveKept(uint64_t count);
  void Keep(Header* header);

 private:
  bool IsPaused() const;
  template <typename Action>
  void ForEachCallback(Action action);
  void Announce(const CollectionEvent& event);
  void AdoptLocked(CollectedHeap* heap);

  mutable std::mutex mutex_;
  os::Condition changed_;
  CollectorOptions options_;
  // Sequentially consistent: see the first invariant.
  std::atomic<int> pauses_{0};
  int holders_ = 0;          // between HoldOff and LetGo
  bool begun_ = false;       // a collection is under way
  std::thread::id runner_;   // of which thread
  bool due_ = false;         // see MakeDue
  int walks_ = 0;            // of the list of callbacks, that are under way
  uint64_t number_ = 0;      // of the last collection that began
  CollectionCause cause_{};  // of the same
  std::vector<std::shared_ptr<Callback>> callbacks_;
  std::vector<Header*> kept_;
  std::array<CollectionRecord, kHistoryLength> history_;
  uint64_t recorded_ = 0;  // ever; the next one goes to this, modulo the length
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_CONTROL_H_
