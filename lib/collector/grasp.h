// Grasping: touching an object that marking has not reached, while the weak door is open.
//
// Through a weak handle the program may bring such an object back at any moment, and drop it again:
// then it dies, and its block may hold another object. Published as a hazard it stays what it is:
// from there on its destructor does not start (lib/threads/hazard.h). That it is still white then
// says that the block holds no newborn, which would be black. Whether it is DEAD already, and only
// waits for its destructor, is for the exchange to tell by which it is taken.
#ifndef REEF_LIB_COLLECTOR_GRASP_H_
#define REEF_LIB_COLLECTOR_GRASP_H_

#include "lib/collector/collected_heap.h"
#include "lib/os/chaos.h"
#include "lib/threads/hazard.h"

namespace reef::collector {

// Collector thread, between rounds of marking, when no marker has published a batch. What `take`
// returns; false, without calling it, if the object is no longer alive and white.
template <typename Take>
bool Grasp(Header* header, uint8_t black, Take take) {
  threads::HazardBatch& hazards = threads::HazardsOf(0);
  hazards.Publish(&header, 1);
  REEF_CHAOS_POINT("white object grasped, not yet taken");
  const bool taken = header->GetStageSequential() == internal::Stage::kLive &&
                     IsWhite(header, black) && take(header);
  hazards.Clear();
  return taken;
}

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_GRASP_H_
