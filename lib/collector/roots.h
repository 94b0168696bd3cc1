// The root scan: reads every header of every traced slab, and starts marking from those that must
// be reached.
//
// Roots are: objects with a counted root in either word, immortal objects, DYING ones (they still
// own their edges), BUILDING and DESTROYING ones (whose payload the marker scans), and frozen ones
// (freeze.h), which are traced at once. Objects born since the second rendezvous are black and
// passed over.
#ifndef REEF_LIB_COLLECTOR_ROOTS_H_
#define REEF_LIB_COLLECTOR_ROOTS_H_

#include <cstdint>

#include "lib/collector/collected_heap.h"
#include "lib/collector/marker.h"

namespace reef::collector {

// Returns the number of roots pushed. `published_too`: a ReadScope that was open before arming has
// not ended, so what it may see is a root as well. Sets *conservative if anything was pushed for a
// reason other than a counted root.
uint64_t ScanRoots(const Space& space, uint8_t black, bool published_too, Marker* marker,
                   bool* conservative, void (*poll)());

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_ROOTS_H_
