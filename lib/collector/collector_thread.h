// The collector's own state, and the thread that works on it: requests in, collections and
// housekeeping out (collector.cc); how it begins, with the first heap and in the child of a fork,
// and how it ends (collector_thread.cc).
#ifndef REEF_LIB_COLLECTOR_COLLECTOR_THREAD_H_
#define REEF_LIB_COLLECTOR_COLLECTOR_THREAD_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "lib/collector/collected_heap.h"
#include "lib/collector/hold_up.h"
#include "lib/collector/rest.h"
#include "lib/os/condition.h"
#include "reef/stats.h"

namespace reef::collector {

// Set on the collector thread, and on one that does its work while the process ends.
inline constinit thread_local bool t_is_collector = false;

class Collector {
 public:
  static Collector& Get();

  void Enter(CollectedHeap* heap);
  // False, and the heap is still there, if a piece of work does not end.
  bool Leave(CollectedHeap* heap);
  bool IsHeldUp();
  enum class Purpose : uint8_t {
    kCollect,     // somebody has asked for a collection
    kAllocation,  // an emergency: all free memory as well, but no waiting for a hold-up
    kMemory,      // the part of it that needs no collection
    kHeapEnd,     // as an emergency, with more patience
  };
  // Nothing if it was not waited for, or cannot be served any more.
  std::optional<CollectionReport> Request(CollectedHeap* heap, Purpose purpose);
  bool EnsureThread();
  void FillStats(CollectedHeap* heap, HeapStats* stats);
  void StopAtExit();
  // The calling thread does the collector's work from now on, or no more. Should it call exit in
  // the midst of that, the process ends without it.
  void ActAsCollector(bool acts);
  void HoldForFork();
  void Release();
  void BeginAsChild();

 private:
  Collector() = default;
  void Start();
  void StartAbsent();
  bool StartThread();
  void Loop();
  void FinishCutOffs();
  void ParkIfStopping();
  bool HasRequest();
  static bool HasRequestNow();
  static bool HasSmallWork();
  static bool HasUrgentWork();
  static bool HasWorkNow();
  static bool HasAnyWork();
  bool Tick(Nanoseconds now);
  struct Job {  // what requests want
    uint64_t ticket = 0;
    bool emergency = false;    // the memory back as well
    bool memory_only = false;  // no collection
    bool destroys = true;      // user code may run
  };
  CollectedHeap* NextRequest(Job* job);
  void Serve(CollectedHeap* heap, const Job& job);
  void EndServing(CollectedHeap* heap, const Job& job);
  static Job JobFor(Purpose purpose);
  bool Destroy(CollectedHeap* heap, const Job& job, Nanoseconds patience);
  std::optional<CollectionReport> AskThread(CollectedHeap* heap, Purpose purpose,
                                            std::unique_lock<std::mutex>* lock);
  std::optional<CollectionReport> ServeHere(CollectedHeap* heap, Purpose purpose,
                                            std::unique_lock<std::mutex>* lock);
  template <typename Done>
  bool Await(std::unique_lock<std::mutex>* lock, Purpose purpose, Done done);
  struct Outcome {
    CollectionReport report;
    bool incomplete = false;  // another one, at once, may find what this one kept
  };
  Outcome RunCycle(CollectedHeap* heap, CollectionCause cause);
  void StartWork();
  void EndWork();
  static const std::vector<CollectedHeap*>& HeapsNow();
  static void Poll();

  std::mutex mutex_;  // the fields below, and the "under the mutex" ones of each heap
  os::Condition changed_;
  std::vector<CollectedHeap*> heaps_;
  bool working_ = false;      // on some heap: none may leave
  bool stopping_ = false;     // the process ends
  bool parked_ = false;       // no thread works: who needs something done does it himself
  bool stuck_ = false;        // nor is it coming to rest
  Nanoseconds last_start_{};  // when the system refused a thread
  HoldUp hold_up_;
  bool cut_off_ = false;  // in the child of a fork: there may be what that has left undone
  size_t next_ = 0;  // where to look for the next request: no heap's requests hold up another's
  // Collector thread only.
  std::vector<CollectedHeap*> at_hand_;  // the heaps, during a piece of work
  Nanoseconds last_tick_{};
  Nanoseconds last_settle_{};
  Nanoseconds last_poll_{};
  Nanoseconds short_until_{};  // what waits has just been waited for in vain
  Rest rest_;
  bool alone_ = true;  // the collection under way has one marker
};

// Waits until `done` holds; false if user code holds that up for too long.
template <typename Done>
bool Collector::Await(std::unique_lock<std::mutex>* lock, Purpose purpose, Done done) {
  constexpr Nanoseconds kLook = std::chrono::milliseconds(20);
  if (purpose == Purpose::kCollect) {
    changed_.wait(*lock, done);
    return true;
  }
  const Nanoseconds patience =
      purpose == Purpose::kHeapEnd ? HoldUp::kPatienceOfAnEnd : HoldUp::kPatience;
  do {
    if (hold_up_.Lasts(os::Now(), patience)) return done();
  } while (!changed_.wait_for(*lock, kLook, done));
  return true;
}

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_COLLECTOR_THREAD_H_
