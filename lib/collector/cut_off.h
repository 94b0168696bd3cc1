// What the child of a fork does about a collection that was under way (lib/collector/under_way.h).
#ifndef REEF_LIB_COLLECTOR_CUT_OFF_H_
#define REEF_LIB_COLLECTOR_CUT_OFF_H_

#include "lib/collector/collected_heap.h"

namespace reef::collector {

// While there is one thread, and no collection is armed any more. Condemns the rest if the weak
// door was closed: O(heap) then.
void DecideCutOff(CollectedHeap* heap);
// Collector thread, before it collects the heap again. `poll` as Cycle's.
void FinishCutOff(CollectedHeap* heap, void (*poll)());

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_CUT_OFF_H_
