// The sweeper: condemns what marking left white, empties its edges, destroys and frees it.
//
// Condemn (barrier on): white and LIVE and not DEAD is garbage, and nothing else; it is set DEAD.
// I7: nobody can reach it any more, its counts no longer change. Clear (barrier off): each garbage
// object's edges are emptied. An edge to garbage, told by DEAD, just goes; an edge to the living is
// dropped by the ordinary non-owner decrement, and what dies by that is destroyed between two slabs
// or in the next phase. Free: the destructors run, every edge reading null, so that no destructor
// can see another dead object; then blocks go back, one push per slab.
#ifndef REEF_LIB_COLLECTOR_SWEEPER_H_
#define REEF_LIB_COLLECTOR_SWEEPER_H_

#include "lib/collector/collected_heap.h"
#include "lib/collector/finalize.h"
#include "reef/internal/slot.h"

namespace reef::collector {

// Of this collection: other dead objects have been DYING or further since the rendezvous that ended
// condemning, and newborn ones are black. (A frozen one may be between DEAD and DYING just now.)
bool IsCondemned(const Header* header, uint8_t black);

// Each calls `poll` between slabs, which may run destructors: of what does not reach the garbage,
// as other threads do all the time.

// Adds to report->objects and report->bytes, and the weak cells of the condemned to `cells`.
void Condemn(const Space& space, uint8_t black, CollectionReport* report, ClearedCells* cells,
             void (*poll)());
void ClearGarbage(const Space& space, uint8_t black, internal::Slot* slot, void (*poll)());
void FreeGarbage(const Space& space, uint8_t black, internal::Slot* slot, void (*poll)());

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_SWEEPER_H_
