// The sweeper: condemns what marking left white, empties its edges, destroys and frees it.
//
// Condemn (barrier on): white and LIVE and not DEAD is garbage, and nothing else; it is set DEAD.
// I7: nobody can reach it any more, its counts no longer change. Clear (barrier off): each garbage
// object's edges are emptied. An edge to garbage, told by DEAD, just goes; an edge to the living is
// dropped by the ordinary non-owner decrement, and what dies by that is destroyed in the next
// phase. Free: the destructors run, every edge reading null, so that no destructor can see another
// dead object; then blocks go back, one push per slab.
#ifndef REEF_LIB_COLLECTOR_SWEEPER_H_
#define REEF_LIB_COLLECTOR_SWEEPER_H_

#include "lib/collector/collected_heap.h"
#include "reef/internal/slot.h"

namespace reef::collector {

// Adds to report->objects and report->bytes. `resume`: what another collection condemned and a fork
// kept it from freeing is condemned still.
void Condemn(const Space& space, uint8_t black, CollectionReport* report, bool resume = false);
void ClearGarbage(const Space& space, uint8_t black, internal::Slot* slot);
// `poll` is called between slabs.
void FreeGarbage(const Space& space, uint8_t black, internal::Slot* slot, void (*poll)());

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_SWEEPER_H_
