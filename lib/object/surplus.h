// Surplus: dead objects that a drop has left to the collector thread.
//
// A drop destroys what died by it before its statement ends, however much that is. Where a heap has
// a budget (HeapOptions::drop_budget), or the program asks for it (Ref::DropLater), the rest of the
// worklist goes to one list of the process instead, and the collector thread works that off in
// slices.
//
// What is on it is on a worklist like any other: DEAD, DYING or DESTROYING, linked through the
// objects' own `shared` words, its blocks in use. So it is a root of marking, no heap of such an
// object ends, and leaving it needs no bracket. Only the collector thread takes from it, so nothing
// is in its hands (object::InHand) when it looks whether anything waits.
#ifndef REEF_LIB_OBJECT_SURPLUS_H_
#define REEF_LIB_OBJECT_SURPLUS_H_

#include <cstdint>

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::object {

using internal::Header;
using internal::Slot;

// The calling thread works the surplus off from now on: the collector thread, at its start.
void BecomeFinisher();
// Nobody does any more: what dies from now on is destroyed where it dies. Any thread.
void DismissFinisher();
// True if the calling thread may leave dead objects to another.
bool CanLeaveSurplus();

// Any thread, lock-free: leaves the objects that are linked from `first`. O(objects), each of which
// the caller has listed itself.
void LeaveSurplus(Header* first);

// The finisher, outside a drain: destroys some thousand objects. True if more waits. Does nothing
// on other threads.
bool DestroySurplus(Slot* slot);
// The finisher.
bool HasSurplus();
// How many batches, of what had been left when they were taken, are gone: two more, and so is all
// that has been left by now.
uint64_t CountSurplusDone();

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_SURPLUS_H_
