// The pacer: when a collection of a heap is worth starting.
//
// A *suspect* is an operation that leaves a living traced object and takes a reference from it
// (every slot counts its own). The sum is sampled before a collection stores LOGGING; while it
// stays the same, no cycle can have become unreachable, and no collection starts, however large the
// heap is; but one that was aborted, or kept anything on a conservative reason, makes the next one
// due.
//
// With suspects, a collection is due when traced bytes in use have grown by growth_percent, scaled,
// and by growth_bytes since the last one; or, for little growth, when some seconds have passed. The
// percentage is scaled by yield: collections that find little come later, up to four times, those
// that find much come earlier, down to half. Bytes in use come from the allocator's own counts,
// never from resident memory; memory elsewhere that objects own counts as theirs. Above the soft
// limit growth is not asked for. The share of a core is bounded: after a collection that took t,
// the next automatic one waits t * (100 - cpu_percent) / cpu_percent.
#ifndef REEF_LIB_COLLECTOR_PACER_H_
#define REEF_LIB_COLLECTOR_PACER_H_

#include "lib/collector/collected_heap.h"

namespace reef::collector {

// The sum of all slots' suspect counters.
uint64_t CountSuspects();
// Bytes of traced blocks in use. O(slabs).
uint64_t TracedBytes(const Space& space);
// What growth is measured in: those, and the external bytes.
inline uint64_t PacedBytes(const Space& space) {
  return TracedBytes(space) + space.external_bytes();
}

// True if an automatic collection should start now.
bool IsDue(const CollectedHeap& heap, Nanoseconds now);
// After a collection: remembers what the next decision needs. `bytes_before` is PacedBytes, and
// `external_before` the share of external bytes in it.
void NoteCollection(CollectedHeap* heap, const CollectionReport& report, uint64_t suspects_before,
                    uint64_t bytes_before, bool again, uint64_t external_before = 0);

// After one that has no report: a fork has cut it off, and this is the child.
void NoteAborted(CollectedHeap* heap);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_PACER_H_
