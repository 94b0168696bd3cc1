// What the façade's parts need of each other about control.
#ifndef REEF_LIB_CONTROL_H_
#define REEF_LIB_CONTROL_H_

#include "reef/heap.h"

namespace reef {

// Before a heap's end: nothing is frozen, nothing is kept, nothing pauses or debugs collections.
void LetGoOfControl(Heap& heap);

}  // namespace reef

#endif  // REEF_LIB_CONTROL_H_
