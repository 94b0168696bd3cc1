// Chaos: named yield points in every protocol, for the build that tries to break them.
//
// In the chaos build (macro REEF_CHAOS) a point may pause the thread, decided by a generator that
// is seeded from REEF_SEED (printed at the start when it is not set), the thread's number and the
// count of points passed. In every other build it is nothing. A test may put a hook in its place,
// to hold a thread at a point of its choice.
#ifndef REEF_LIB_OS_CHAOS_H_
#define REEF_LIB_OS_CHAOS_H_

#include "reef/internal/chaos_point.h"

#if defined(REEF_CHAOS) && REEF_CHAOS
namespace reef::os {
// Called at every point with its name, before the thread may pause; null: nothing is. Tests only.
using ChaosHook = void (*)(const char* name);
void SetChaosHook(ChaosHook hook);
}  // namespace reef::os
#endif

#endif  // REEF_LIB_OS_CHAOS_H_
