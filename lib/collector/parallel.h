// Several markers at once, by oneTBB. The only place that knows of it. In the child of a fork,
// where oneTBB is not to be used, by threads of their own.
#ifndef REEF_LIB_COLLECTOR_PARALLEL_H_
#define REEF_LIB_COLLECTOR_PARALLEL_H_

#include <memory>
#include <vector>

#include "lib/collector/marker.h"

namespace reef::collector {

// Runs `work` so that oneTBB, should `work` use it, takes up none of the other markers meanwhile.
void RunIsolated(void (*work)());

// Runs all markers until every stack is empty. The first runs on the calling thread; the others on
// oneTBB's workers, as many as there are.
void RunMarkers(const std::vector<std::unique_ptr<Marker>>& markers);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_PARALLEL_H_
