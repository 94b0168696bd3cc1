// Surplus: dead objects, and due finalizers, that a drop has left to the collector thread.
//
// A drop destroys what died by it before its statement ends, however much that is. Where a heap has
// a budget (HeapOptions::drop_budget), or the program asks for it (Ref::DropLater), the rest of the
// worklist goes to lists of the process instead, and the collector thread, the *finisher*, works
// them off in slices.
//
// What is on them is on a worklist like any other. The dead: DEAD, DYING or DESTROYING, linked
// through their own `shared` words. Those whose finalizers are due: alive, with the root that was
// counted when the finalizer was taken, linked through their hidden words (finalizer.h). Their
// blocks are in use and all of them are roots of marking, so no heap of such an object ends, and
// leaving it needs no bracket. Only the finisher takes from the lists, so nothing is in its hands
// (object::InHand) when it looks whether anything waits.
#ifndef REEF_LIB_OBJECT_SURPLUS_H_
#define REEF_LIB_OBJECT_SURPLUS_H_

#include <cstdint>

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::object {

using internal::Header;
using internal::Slot;

struct Surplus {
  Header* dead = nullptr;
  Header* due = nullptr;  // their finalizers are

  bool empty() const { return dead == nullptr && due == nullptr; }
};

// Threads may leave what they drop: a finisher is there, or starts.
void AdmitSurplus();
// Nobody may leave anything any more: what dies from now on is destroyed where it dies. Any thread.
void RefuseSurplus();
// The calling thread is the finisher: the collector thread, or one that does its work while that is
// parked; or ends to be.
void ActAsFinisher(bool acts);
// True if the calling thread may leave its surplus to another, which is there, or starts. Outside
// brackets.
bool CanLeaveSurplus();

// Any thread that is draining, lock-free: leaves the objects that are linked from `dead`, perhaps
// null, and the slot's due finalizers. O(objects), each of which the caller has listed itself.
void LeaveSurplus(Slot* slot, Header* dead);

// --- what a thread does not want to run for earlier statements (object::DrainUnasked) ---

// True if it may be left: to a finisher that keeps up. Otherwise memory has no other bound than
// that the thread does it itself.
inline constexpr uint64_t kMostLeftBytes = uint64_t{16} << 20;
bool MayLeaveUnasked();
// Leaves dead objects, linked; they count towards the bound until their batch is gone.
void LeaveDead(Header* dead);
// The same for the slot's due finalizers.
void LeaveDue(Slot* slot);

// The finisher, outside a drain: destroys some thousand objects. False if there are none, and on
// other threads.
bool DestroySurplus(Slot* slot);
// The finisher.
bool HasSurplus();
// How many batches, of what had been left when they were taken, are gone: two more, and so is all
// that has been left by now.
uint64_t CountSurplusDone();

// One slice (dying.cc): destroys and finalizes so many at most. Returns the rest. Not in a drain.
[[nodiscard]] Surplus DestroySome(Slot* slot, Surplus surplus, uint64_t most);

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_SURPLUS_H_
