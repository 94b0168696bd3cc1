// The verifier: a slow, plain second look at a whole heap while nobody changes it.
//
// It checks for every block that its header is in a state which can be at rest, for every object
// that its counted edges are exactly the edges that point to it, for every edge that its target
// lives in the same heap, and for every slab that its accounting agrees with its headers; and of
// the memory below (lib/memory/faults.cc) its lists, chains of free blocks, bitmaps and accounting.
#ifndef REEF_LIB_COLLECTOR_VERIFIER_H_
#define REEF_LIB_COLLECTOR_VERIFIER_H_

#include "absl/status/status.h"

#include "lib/memory/space.h"

namespace reef::collector {

// Internal with the first few violations, or OK. `quarantine`: what TakeEmpty has taken last.
absl::Status Verify(const memory::Space& space, const memory::SlabBatch& quarantine = {});

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_VERIFIER_H_
