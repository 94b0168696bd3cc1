// CollectedHeap: what the collector keeps for each heap: options, pacing, requests, figures.
#ifndef REEF_LIB_COLLECTOR_COLLECTED_HEAP_H_
#define REEF_LIB_COLLECTOR_COLLECTED_HEAP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <shared_mutex>

#include "lib/collector/emergency.h"
#include "lib/collector/under_way.h"
#include "lib/memory/space.h"
#include "lib/os/clock.h"
#include "lib/threads/grace.h"
#include "reef/internal/finalizer_task.h"
#include "reef/internal/slab.h"
#include "reef/stats.h"

namespace reef::collector {

using internal::Header;
using internal::HeapCore;
using internal::Slab;
using memory::Space;
using os::Nanoseconds;

// What each collection tells and keeps; for users: reef::DebugFlags.
struct Debugging {
  bool print_statistics = false;
  bool print_garbage = false;
  bool keep_garbage = false;
};

struct CollectorOptions {
  bool automatic = true;
  int growth_percent = 100;
  uint64_t growth_bytes = uint64_t{8} << 20;
  int cpu_percent = 25;
  int marker_threads = 1;
  Debugging debugging{};
};

class Control;

// The pacer's memory, collector thread only.
struct Pacing {
  uint64_t suspects = 0;      // sampled before the last collection stored LOGGING
  uint64_t traced_bytes = 0;  // in use after it
  bool due = false;           // it was aborted, or marked something only conservatively
  int scaled_percent = 0;     // growth_percent, scaled by recent yields; 0: not yet set
  Nanoseconds ended{};
  Nanoseconds duration{};
};

struct CollectedHeap {
  HeapCore* core = nullptr;
  std::unique_ptr<Space> space;
  // Collector thread only: what the control says, as of the last look at it.
  CollectorOptions options;
  // Constant; others call it (HeapCore::finalizer_executor).
  FinalizerExecutor finalizer_executor;
  // What the program sets and is told. Set in OpenHeap, also held by the program's handles.
  std::shared_ptr<Control> control;

  // A cycle of this heap is under way. Sequentially consistent: see lib/collector/control.h.
  std::atomic<bool> collecting{false};
  // Held shared by other threads that walk the slabs, exclusively by the collector thread while it
  // moves slabs: off and on lists, into quarantine, back to the supply.
  std::shared_mutex layout;

  Emergencies emergencies;
  // Called where the limit cannot be met (lib/exhaustion.cc), or null. Under emergencies.mutex; who
  // calls it holds a share.
  std::shared_ptr<const std::function<void(const LimitReport&)>> on_limit;

  // Collector thread only.
  Pacing pacing;
  memory::SlabBatch quarantine;  // empty slabs that wait for their grace period; under `layout`
  threads::GraceTicket quarantine_ticket = 0;
  int aborts_in_row = 0;
  UnderWay under_way;

  // Under the collector's mutex.
  uint64_t requested = 0;
  uint64_t served = 0;
  bool emergency = false;   // a request wants the memory back as well
  bool memory_only = true;  // all requests want nothing but that
  // Set before a request by who ends the heap, read when that is served.
  bool finalize_reachable = false;
  uint64_t bytes_left = 0;  // traced and external bytes in use after the last collection
  CollectionReport last;
  CollectionReport totals;

  static CollectedHeap* Of(const HeapCore* core) {
    return static_cast<CollectedHeap*>(core->collected);
  }
};

// Calls `function(header)` for every block of the slab that has been in use.
template <typename Function>
void ForEachBlock(const Slab& slab, Function function) {
  // Acquire: the headers below it were FREE before it was raised.
  const uint32_t count = slab.carved.load(std::memory_order_acquire);
  char* block = internal::SlabBase(&slab) + slab.first;
  for (uint32_t i = 0; i < count; ++i, block += slab.block_bytes) {
    function(reinterpret_cast<Header*>(block));
  }
}

template <typename Function>
void ForEachTracedSlab(const Space& space, Function function) {
  space.ForEachSlab([&](Slab& slab) {
    if (internal::IsTraced(slab.kind)) function(slab);
  });
}

// Of a traced object: not proven reachable by the collection whose colour is `black`.
inline bool IsWhite(const Header* header, uint8_t black) {
  const uint8_t colour = header->Colour();
  return colour != black && !internal::IsAlwaysBlack(colour);
}

// True for a root of marking: a counted root in either word, or immortal. Local is read first:
// counts only move from there to shared.
inline bool IsRoot(const Header* header) {
  const uint32_t local = header->Local(std::memory_order_acquire);
  const uint64_t word = header->Shared(std::memory_order_acquire);
  if ((word & internal::kImmortal) != 0 || internal::SharedExt(word) > 0) return true;
  return (word & internal::kMerged) == 0 && internal::LocalExtOf(local) != 0;
}

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_COLLECTED_HEAP_H_
