// Reef: a lock-free concurrent managed heap. The umbrella header; includes everything a user needs.
#ifndef REEF_REEF_H_
#define REEF_REEF_H_

#include "reef/atomic.h"
#include "reef/error.h"
#include "reef/external.h"
#include "reef/heap.h"
#include "reef/member.h"
#include "reef/ref.h"
#include "reef/stats.h"
#include "reef/trace.h"
#include "reef/vector.h"

#endif  // REEF_REEF_H_
