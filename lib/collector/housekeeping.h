// Housekeeping: what the collector thread does between and during collections, for all heaps.
#ifndef REEF_LIB_COLLECTOR_HOUSEKEEPING_H_
#define REEF_LIB_COLLECTOR_HOUSEKEEPING_H_

#include <vector>

#include "lib/collector/collected_heap.h"

namespace reef::collector {

// Revokes pending biases and reclaims retired objects. True if some still wait.
bool Settle();
// The same, repeated until everything that waits at the call is settled, in whosever hands it is,
// and what the calling thread's destructors drop meanwhile; or nothing more could be for
// `patience`: then false. What other threads go on dropping is not waited for.
bool SettleAll(Nanoseconds patience);

// Destroys what was dying under a marker's hands; no batch is published.
void DestroyHandedOver();

// Moves the heap's empty slabs one step on their way: off their lists, through a grace period, back
// to the supply, their memory to the system. True if there is more to do. No collection is armed.
bool ReturnMemory(CollectedHeap* heap);
// All the way at once, waiting for the grace period, up to `patience` each for what is on its way
// and for what is empty now. False if some is still waiting for it.
bool ReturnAllMemory(CollectedHeap* heap, Nanoseconds patience = std::chrono::milliseconds(100));

// All heaps that have been entered when it is called. They stay until the piece of work ends.
using HeapsNow = const std::vector<CollectedHeap*>& (*)();
// Lists the slabs of threads that ended as available. `heaps_now` is called for each of them: a
// thread may have used, and ended after, a heap that was made since this piece of work began.
void EmptyOrphans(HeapsNow heaps_now);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_HOUSEKEEPING_H_
