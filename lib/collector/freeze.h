// Freezing: objects that every collection spares.
//
// A frozen object has a colour that no collection has (kFrozenColour), and that reads black in all
// of them. The rule, in place of Python's (whose collector may leave out what is frozen, because
// its counts keep what that refers to):
//
//   A frozen object is a root of marking, whatever refers to it. The root scan traces it, once per
//   collection, where it stands; marking never pushes it, never paints it, never condemns it.
//
// So what a frozen object refers to stays alive, also what is stored in it later. Counts go on: a
// frozen object dies with its last reference like any other. A block that was freed loses the
// colour at its next birth.
//
// The colour is written while no collection of the heap is armed. An object that dies, and whose
// block is born again, between our look at the stage and our store of the colour, makes a newborn
// frozen, or an unfrozen one white: the first is harmless as it would be a little later, the second
// is what it was.
#ifndef REEF_LIB_COLLECTOR_FREEZE_H_
#define REEF_LIB_COLLECTOR_FREEZE_H_

#include <cstdint>

#include "lib/collector/collected_heap.h"

namespace reef::collector {

// Freezes the objects that live, traced ones only: collections do not look at leaves. Returns how
// many are frozen now. No collection of the heap is under way, and none starts; no slab loses its
// layout. O(headers), as the others.
uint64_t FreezeAll(const Space& space);
// Gives all of them back to the collections; returns how many.
uint64_t UnfreezeAll(const Space& space);
// A snapshot, at any time.
uint64_t CountFrozen(const Space& space);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_FREEZE_H_
