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
//
// Finalizers that fall due run between the objects (finalizer.h). A drain that goes on for long
// asks for the budget of the heap whose object comes next, and leaves the rest to the collector
// thread when it is spent (surplus.h).
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
// The same for what earlier statements of this thread have left, and this one has not asked for: a
// weak callback or finalizer that is due goes to the finisher, unless there is none, or so much
// waits for it (surplus.h) that it does not keep up. Inside another drain: nothing, as Drain.
void DrainUnasked(Slot* slot);
// What a revocation makes due, in the same way.
void RevokeUnasked(Slot* slot);
// Ends what began by setting `draining`, with nothing left on the slot's lists.
void EndDrain(Slot* slot);
// No budget is smaller: as many objects are destroyed before a drain asks for one.
inline constexpr uint64_t kLeastBudget = 64;

// Work that a thread has taken off a list which others look at, and has not finished: it is counted
// as waiting work until it is done, or, where the thread is draining already, until that drain
// ends.
class InHand {
 public:
  explicit InHand(Slot* slot);
  ~InHand();
  InHand(const InHand&) = delete;
  InHand& operator=(const InHand&) = delete;

 private:
  Slot* const slot_;
};
// How many such pieces of work there are. To be asked after the lists have been found empty.
uint64_t CountInHand();
// The child of a fork: only what its one thread has in hand is left.
void ForgetOthersInHand(const Slot* slot);

// Puts a dead object on the slot's list without draining.
void PushDying(Slot* slot, Header* header);
// Inside a bracket that found no collection armed: the owner's last reference to an object that
// nobody else ever saw (I4) goes. The object dies without a read-modify-write and goes on the
// worklist, DESTROYING already: a collection that arms later finds it so and scans its words, never
// traces it, which spares the destructor a bracket of its own (I8).
REEF_INLINE void KillPrivate(Slot* slot, Header* header) {
  header->SetShared(internal::kMerged | internal::kDead);
  header->SetLocal(0);
  header->SetStage(internal::Stage::kDestroying);
  slot->dying.Append(header);
}
// Returns a block; its stage reads FREE before it can be reused.
REEF_INLINE void FreeObject(Slot* slot, Header* header) {
  header->SetStage(internal::Stage::kFree);
  internal::PoisonBlock(header);
  internal::FreeBlock</*kManaged=*/true>(slot, slot->slab_owner, header);
}

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_DYING_H_
