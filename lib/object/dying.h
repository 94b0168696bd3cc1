// The dying worklist: how dead objects are destroyed without recursion, allocation or depth test.
//
// A dead object is pushed on its slot's worklist, linked through its own `shared` word; if the slot
// is not draining already, it drains: pops an object, runs its destructor (which may push more),
// returns the block. So parents are destroyed before their children, and a list of a hundred
// million nodes needs no more stack than one.
//
// Beginning a traced object's destructor is a bracket of its own: {read the mode; store DESTROYING;
// if a collection is armed: look into the markers' batches; found: hand over}. The mode read when
// the count dropped must not be reused: a collection may have armed since.
#ifndef REEF_LIB_OBJECT_DYING_H_
#define REEF_LIB_OBJECT_DYING_H_

#include "reef/internal/header.h"
#include "reef/internal/poison.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::object {

using internal::Header;
using internal::Slot;

// Works the slot's list off, unless that is under way.
void DrainList(Slot* slot);
inline void Drain(Slot* slot) {
  if (!slot->draining) DrainList(slot);
}
// Puts a dead object on the slot's list without draining.
void PushDying(Slot* slot, Header* header);
// Returns a block; its stage reads FREE before it can be reused.
REEF_INLINE void FreeObject(Slot* slot, Header* header) {
  header->SetStage(internal::Stage::kFree);
  internal::PoisonBlock(header);
  internal::FreeBlock</*kManaged=*/true>(slot, slot->slab_owner, header);
}

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_DYING_H_
