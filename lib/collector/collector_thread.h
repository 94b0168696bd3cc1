// The collector's own state, and the thread that works on it: requests in, collections and
// housekeeping out (collector.cc); how it begins, with the first heap and in the child of a fork,
// and how it ends (collector_thread.cc).
#ifndef REEF_LIB_COLLECTOR_COLLECTOR_THREAD_H_
#define REEF_LIB_COLLECTOR_COLLECTOR_THREAD_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "lib/collector/collected_heap.h"
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
  void Leave(CollectedHeap* heap);
  CollectionReport Request(CollectedHeap* heap, bool emergency, bool memory_only = false);
  void FillStats(CollectedHeap* heap, HeapStats* stats);
  void HoldForFork();
  void Release();
  void BeginAsChild();

 private:
  Collector() = default;
  void Start();
  bool StartThread();
  void StopAtExit();
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
  };
  CollectedHeap* NextRequest(Job* job);
  void Serve(CollectedHeap* heap, const Job& job);
  void EndServing(CollectedHeap* heap, const Job& job);
  CollectionReport ServeHere(CollectedHeap* heap, Job job, std::unique_lock<std::mutex>* lock);
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
  bool working_ = false;  // on some heap: none may leave
  bool stopping_ = false;
  bool parked_ = false;
  bool cut_off_ = false;  // in the child of a fork: there may be what that has left undone
  size_t next_ = 0;  // where to look for the next request: no heap's requests hold up another's
  // Collector thread only.
  std::vector<CollectedHeap*> at_hand_;  // the heaps, during a piece of work
  Nanoseconds last_tick_{};
  Nanoseconds last_settle_{};
  Nanoseconds last_poll_{};
  Rest rest_;
  bool alone_ = true;  // the collection under way has one marker
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_COLLECTOR_THREAD_H_
