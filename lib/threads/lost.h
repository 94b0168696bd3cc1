// Lost threads: those that are not in the child of a fork, and what they leave in their slots.
//
// A lost thread was cut off between any two of its stores (the child's memory is one consistent cut
// through the stores of all threads). Whatever it had begun stays undone, and nobody waits for it:
// its bracket and scope are closed, its `busy` is cleared, its log and its worklist are forgotten.
// Its caches are given up with their slabs, because a thread may be cut off in the middle of moving
// a slab or a block. What is a single word, or handed over by one exchange, is whole, and stays:
// its pending entries, its retired objects, its ownership of objects. So the slot can be taken by
// the next new thread, which continues the ownership; docs/protocols.md, section 20, goes through
// the operations one by one.
#ifndef REEF_LIB_THREADS_LOST_H_
#define REEF_LIB_THREADS_LOST_H_

#include "reef/internal/slot.h"

namespace reef::threads {

using internal::Slot;

// The child, before it has a second thread: makes orphans of the slots of all threads but `mine`
// (the null slot if this thread has none). The mode is idle.
void OrphanLostSlots(const Slot* mine);
// True in a child that has lost threads, or descends from one: an operation that nobody is at may
// then have been left half done.
bool AnyLost();

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_LOST_H_
