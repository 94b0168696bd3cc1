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
// What that costs: pending revocations, published objects and empty memory wait for the next call,
// and a collection that is under way makes edge stores log (8 bytes each) until it ends. So call it
// often, every few milliseconds, and sooner while it returns true. Marking uses one thread.
#ifndef REEF_DRIVE_H_
#define REEF_DRIVE_H_

#include <chrono>

#include "absl/status/statusor.h"

namespace reef {

// Any thread, at any time. Switched off, the collector goes on by itself from where it stands.
void SetCollectorDriven(bool driven);
bool IsCollectorDriven() noexcept;

// Lets the collector work until it has nothing to do or `budget` is over, and waits for it: takes
// biases away, ends grace periods, gives memory back, and does a part of a collection that is due,
// which the next call continues. True if it has more to do. The clock is looked at after each slab
// of a root scan, of condemning, clearing or freeing, and after some 2,000 objects of marking; what
// may exceed the budget is a destructor with all that dies with it, and the finalizers and weak
// callbacks of one collection. A budget of 0 or less does the least there is to do. Calls on
// several threads take turns.
//
// FailedPrecondition, and nothing done: the collector is not driven; or this is its own thread, in
// a callback or destructor.
absl::StatusOr<bool> DriveCollector(std::chrono::nanoseconds budget);

}  // namespace reef

#endif  // REEF_DRIVE_H_
