// Driving the collector: for a process without a core to spare, whose event loop says when
// collecting may take time.
//
//   reef::SetCollectorDriven(true);                 // or REEF_COLLECTOR_THREAD=0
//   for (;;) {
//     loop.RunOnce();
//     (void)reef::DriveCollector(std::chrono::microseconds(200));
//   }
//
// Of the whole process, as the collector is. Its thread remains, and destructors of garbage run on
// it, but it only runs while a thread waits for it: in DriveCollector, and where a program waits in
// any case (Heap::Collect, an allocation that finds no memory, Freeze, the end of a heap).
//
// What that costs: pending revocations, published objects, what a drop has left (drop_budget,
// DropLater), the caches of ended threads and empty memory wait for the next call; whether a
// collection is due is looked at every 50 ms at most; and one that is under way makes edge stores
// log (8 bytes each) until it ends. So call it often, every few milliseconds, and sooner while it
// returns true. Marking uses one thread.
#ifndef REEF_DRIVE_H_
#define REEF_DRIVE_H_

#include <chrono>

#include "absl/status/statusor.h"

namespace reef {

// Any thread, at any time. Switched off, the collector goes on by itself from where it stands; a
// call of DriveCollector that waits returns. Makes the default heap, and so aborts where that does.
// Does nothing while the process ends.
void SetCollectorDriven(bool driven);
// False also before the first heap, whatever the environment says.
bool IsCollectorDriven() noexcept;

// Lets the collector work until nothing is left that can be done now or `budget` is over, and waits
// for it: takes biases away, ends grace periods, gives memory back, and does a part of a collection
// that is due, which the next call continues. True if it was cut off: call again soon. (False also
// where something waits: for a sleeping ReadScope, a thread stopped in the middle of a count, or
// the next look at the memory.)
//
// The clock is looked at after each slab of a root scan, of the search for finalizers, of
// condemning, clearing or freeing, after some 2,000 objects of marking and some 4,000 of what drops
// have left, and while the root scan waits for a ReadScope. What may exceed the budget: a
// destructor with all that dies with it; the finalizers and weak callbacks of one collection; one
// Trace of a large Vector; what DebugFlags print or keep; and passes over the lists of slabs, which
// are short. A budget of 0 or less does the least there is to do, the largest is none. Calls on
// several threads take turns, and wait for each other. Works everywhere else, but in a ReadScope
// what was retired cannot go, and with a lock held that a destructor, finalizer or callback takes
// it waits for ever.
//
// FailedPrecondition, and nothing done: the collector is not driven (REEF_COLLECTOR_THREAD counts
// from the first heap on); or this is its own thread, in a callback or destructor.
absl::StatusOr<bool> DriveCollector(std::chrono::nanoseconds budget);

}  // namespace reef

#endif  // REEF_DRIVE_H_
