// What the façade's parts need of each other about control.
#ifndef REEF_LIB_CONTROL_H_
#define REEF_LIB_CONTROL_H_

#include "lib/collector/collected_heap.h"

namespace reef {

// Before a heap's end: nothing is frozen, nothing is kept, nothing debugs collections. Asks for no
// memory. False if user code holds the collector thread up in a collection of this heap.
bool LetGoOfControl(collector::CollectedHeap* heap);

}  // namespace reef

#endif  // REEF_LIB_CONTROL_H_
