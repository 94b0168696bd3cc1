// What debugging does with garbage, between the end of marking and condemning: prints each object,
// or keeps all of them in a list, as Python's gc.DEBUG_COLLECTABLE and gc.DEBUG_SAVEALL.
//
// A kept object gets a root and turns black, so that condemning finds nothing. Invariant I7 is what
// makes that safe: a white object is out of everybody's reach, its counts do not change. All that
// kept objects refer to is white too, and kept, or black. So nothing is left to be marked.
#ifndef REEF_LIB_COLLECTOR_GARBAGE_H_
#define REEF_LIB_COLLECTOR_GARBAGE_H_

#include <cstdint>

#include "lib/collector/collected_heap.h"

namespace reef::collector {

// Does what the heap's options ask for. The collection is armed, marking is complete, and the door
// by which white objects could be revived has yet to close or does not exist. False if the list
// finds no memory: then nothing is kept, and the collection must be aborted.
bool ShowGarbage(CollectedHeap* heap, uint8_t black, CollectionReport* report);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_GARBAGE_H_
