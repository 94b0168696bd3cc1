// Finalizers and weak handles of garbage.
//
// Finalizers: when marking has reached its end, the objects that are still white and have a
// finalizer to run are taken: published like a marker's batch (so that none of them dies
// meanwhile), looked at again (LIVE, white), and their finalizer taken by one exchange, which
// counts a root and fails on DEAD. They are marked with all they reach, so all of a garbage graph's
// finalizers run before any of its destructors, and what they see is intact. They run when the
// collection is over; the next one finds what was not resurrected, its finalizers taken.
//
// Weak cells of the condemned are cleared while the barrier is on; their callbacks run when it is
// off and the weak door open again, before the first edge of the garbage is emptied. A callback
// whose handle lies in garbage itself is cancelled.
#ifndef REEF_LIB_COLLECTOR_FINALIZE_H_
#define REEF_LIB_COLLECTOR_FINALIZE_H_

#include <cstdint>

#include "lib/collector/collected_heap.h"
#include "lib/collector/marker.h"
#include "lib/collector/under_way.h"
#include "reef/internal/slot.h"

namespace reef::collector {

// Takes the finalizers of white objects and pushes those objects to the marker, whose stack is
// empty. True if there were any. Calls `poll` between slabs: what is white then was so after the
// last round, and only a weak handle can change that.
bool TakeFinalizers(const Space& space, uint8_t black, Marker* marker, TakenFinalizers* taken,
                    Marker::Poll poll);
// Takes and runs the finalizers of all that lives. No other thread uses the heap (it ends), and no
// collection is armed: so nothing dies or is born meanwhile but by this thread.
void FinalizeReachable(CollectedHeap* heap);
// Runs them, or has the heap's executor run them; none is taken any more. Outside a collection.
void RunFinalizers(internal::Slot* slot, TakenFinalizers* taken);

// Runs the callbacks of cleared cells, of which none is left. The garbage is condemned and not yet
// cleared; no collection is armed.
void RunCallbacks(const Space& space, uint8_t black, ClearedCells* cells);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_FINALIZE_H_
