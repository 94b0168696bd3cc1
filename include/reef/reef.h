// Reef: a lock-free concurrent managed heap. The umbrella header; includes everything a user needs.
#ifndef REEF_REEF_H_
#define REEF_REEF_H_

#include "reef/any_ref.h"
#include "reef/atomic.h"
#include "reef/atomic_marked.h"
#include "reef/atomic_weak.h"
#include "reef/control.h"
#include "reef/drive.h"
#include "reef/error.h"
#include "reef/external.h"
#include "reef/finalizer.h"
#include "reef/heap.h"
#include "reef/member.h"
#include "reef/ref.h"
#include "reef/stats.h"
#include "reef/trace.h"
#include "reef/unraisable.h"
#include "reef/vector.h"
#include "reef/weak.h"
#include "reef/weak_finalizer.h"
#include "reef/weak_key_map.h"
#include "reef/weak_map.h"

#endif  // REEF_REEF_H_
