// Exhaustion: what happens between the request that finds no memory and the error: an emergency
// collection and purge, another try, HeapOptions::on_limit, a last try.
#ifndef REEF_LIB_EXHAUSTION_H_
#define REEF_LIB_EXHAUSTION_H_

#include <cstdint>

#include "lib/collector/emergency.h"
#include "reef/internal/slab.h"

namespace reef::internal {

// An emergency, where the calling thread may wait for one and it can help.
collector::Relief RelieveHeap(HeapCore* core, uint64_t bytes);
// Calls on_limit, if there is one and this thread is not in it already, and returns what memory it
// has set free. False if there was nothing to call.
bool ReportLimit(HeapCore* core, uint64_t bytes, bool collected);

// Runs `take` until it yields something; null if nothing helps. Outside brackets.
template <typename Take>
auto TakeOrRelieve(HeapCore* core, uint64_t bytes, Take take) {
  auto taken = take();
  bool collected = false;
  // A second emergency only where the first has freed much, and others were quicker to take it.
  constexpr int kTries = 2;
  for (int i = 0; !taken && i < kTries; ++i) {
    const collector::Relief relief = RelieveHeap(core, bytes);
    collected = collected || relief != collector::Relief::kRefused;
    taken = take();
    if (relief != collector::Relief::kFreed) break;
  }
  if (!taken && ReportLimit(core, bytes, collected)) taken = take();
  return taken;
}

// Adds to a heap's external bytes, or takes from them. False at the hard limit.
bool AddExternal(HeapCore* core, int64_t delta);

}  // namespace reef::internal

#endif  // REEF_LIB_EXHAUSTION_H_
