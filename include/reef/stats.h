// Figures about a heap and its collections: plain data.
#ifndef REEF_STATS_H_
#define REEF_STATS_H_

#include <chrono>
#include <cstdint>

namespace reef {

// The phases of a collection, in this order; durations are indexed by it.
enum class Phase : uint8_t {
  kArm,      // two rendezvous: everybody logs, then newborn objects are black
  kRoots,    // every header of every traced slab
  kMark,     // trace; take logs until a round brings nothing new
  kCondemn,  // what is still white is garbage; the barrier goes off
  kClear,    // the garbage's edges are emptied
  kFree,     // its destructors run, its blocks go back
};
inline constexpr int kPhases = 6;
const char* PhaseName(Phase phase);

// What one collection found. From Heap::Collect: the sum over the collections it needed.
struct CollectionReport {
  uint64_t objects = 0;    // unreachable objects reclaimed
  uint64_t bytes = 0;      // the bytes of their blocks
  uint64_t finalized = 0;  // unreachable objects whose finalizers were taken
  uint64_t marked = 0;     // objects proven reachable
  uint64_t roots = 0;      // objects that the root scan started from
  uint64_t logged = 0;     // entries taken from the threads' logs
  uint64_t cycles = 0;     // collections run
  uint64_t aborted = 0;    // of which gave up (no memory for a log or the mark stack)
  uint64_t kept = 0;       // unreachable objects that DebugFlags::keep_garbage has listed instead
  // On the clock: where the program drives the collector (reef/drive.h) with the time between
  // calls.
  std::chrono::nanoseconds phase_time[kPhases] = {};
  std::chrono::nanoseconds total_time{};
};

// Why a collection started.
enum class CollectionCause : uint8_t {
  kRequest,    // Collect
  kAutomatic,  // the pacer
  kMemory,     // an allocation that found no memory, or the end of the heap
};
const char* CauseName(CollectionCause cause);

// What a callback of Heap::OnCollection is told.
struct CollectionEvent {
  enum class Moment : uint8_t {
    kStart,  // before anybody logs; the report is empty
    kStop,   // after the last block was freed; the report is this collection's
  };
  Moment moment = Moment::kStart;
  CollectionCause cause = CollectionCause::kRequest;
  uint64_t number = 0;  // of the collection, from 1 for the heap's first
  CollectionReport report;
};

// One collection of the past, from Heap::History.
struct CollectionRecord {
  uint64_t number = 0;
  CollectionCause cause = CollectionCause::kRequest;
  std::chrono::system_clock::time_point ended{};
  uint64_t traced_bytes = 0;  // of traced objects in use after it
  CollectionReport report;
};
// How many a heap remembers.
inline constexpr int kHistoryLength = 64;

// What HeapOptions::on_limit is told about an allocation that is about to fail.
struct LimitReport {
  uint64_t requested_bytes = 0;  // of the payload or the block; external ones that are to be added
  uint64_t committed_bytes = 0;  // these three as in HeapStats
  uint64_t external_bytes = 0;
  uint64_t max_bytes = 0;
  // False if none was run for this allocation: the last ones freed next to nothing or took too much
  // of the time; it stands where it may not wait (in a ReadScope or a destructor, on the collector
  // thread); user code holds the collector thread up; or it asks for more than the limit.
  bool collected = false;
};

// A snapshot of a heap. Exact while no thread changes it; otherwise each figure was true at some
// moment of the call.
struct HeapStats {
  // Objects (leaf and traced) and raw blocks in use, and their bytes, headers included.
  uint64_t live_objects = 0;
  uint64_t live_bytes = 0;
  uint64_t raw_blocks = 0;
  uint64_t raw_bytes = 0;
  // Free blocks in slabs that serve a class: cached for the next allocation.
  uint64_t cached_bytes = 0;
  // Slabs taken from the system and not given back; what the system holds in memory of the region.
  uint64_t committed_bytes = 0;
  uint64_t resident_bytes = 0;
  uint64_t reserved_bytes = 0;
  // Memory elsewhere that objects own (ExternalBytes), and the limits in force, which committed and
  // external bytes are held to together. No soft limit: 0; no hard one: the reserved bytes, to
  // which committed bytes are held in any case, and external ones not.
  uint64_t external_bytes = 0;
  uint64_t soft_limit_bytes = 0;
  uint64_t max_bytes = 0;
  // Collections that allocations at the limit have waited for, several at once for one perhaps, and
  // how often none was run because the last ones had freed next to nothing or taken too much of the
  // time.
  uint64_t emergencies = 0;
  uint64_t emergencies_refused = 0;

  // Operations since the start that may have made a cycle unreachable (all heaps).
  uint64_t suspects = 0;
  // References waiting for a bias to be revoked, and objects waiting for a grace period (all
  // heaps).
  uint64_t pending_revocations = 0;
  uint64_t retired_bytes = 0;
  // Bytes of traced objects made since the last collection and still in use, and external bytes
  // that have come since: no more of them can be garbage that waits for the next one, but for what
  // was dropped during the last one.
  uint64_t uncollected_bytes = 0;
  // Over all collections of this heap.
  uint64_t collections = 0;
  uint64_t collections_aborted = 0;
  uint64_t garbage_objects = 0;
  uint64_t garbage_bytes = 0;
  std::chrono::nanoseconds phase_time[kPhases] = {};
  CollectionReport last_collection;
  // The longest rendezvous, and the longest that one waited for a single thread's bracket (all
  // heaps).
  std::chrono::nanoseconds longest_rendezvous{};
  std::chrono::nanoseconds longest_bracket{};
};

}  // namespace reef

#endif  // REEF_STATS_H_
