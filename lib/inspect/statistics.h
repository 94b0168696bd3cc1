// Statistics: a snapshot of a heap in figures.
#ifndef REEF_LIB_INSPECT_STATISTICS_H_
#define REEF_LIB_INSPECT_STATISTICS_H_

#include "lib/collector/collected_heap.h"
#include "reef/stats.h"

namespace reef::inspect {

// O(slabs), and a system call per 4 MiB in use. Any thread; waits at most for
// slabs to be returned to the supply.
HeapStats TakeStatistics(collector::CollectedHeap* heap);

}  // namespace reef::inspect

#endif  // REEF_LIB_INSPECT_STATISTICS_H_
