// Adaptive bias: types whose objects travel between threads are born unbiased.
//
// A biased object that dies away from its owner costs a revocation; an unbiased one costs an atomic
// operation per count, like any atomic intrusive pointer. Each type therefore samples where its
// biased objects die: at home every 64th death is counted as 64, away every one is. When more than
// a quarter of a window of deaths was away, the type's objects are born unbiased, but for one in
// 64, born biased as a probe; when less than a sixteenth of the probes dies away, the type returns
// to bias.
//
// Also by hand: Ref::Share gives a private object's bias up, Ref::Adopt takes it on arrival.
#ifndef REEF_LIB_OBJECT_BIAS_H_
#define REEF_LIB_OBJECT_BIAS_H_

#include "reef/internal/header.h"
#include "reef/internal/slot.h"
#include "reef/internal/type_info.h"

namespace reef::internal {

// A biased object died (or lost its last local count) on its owner's thread, `weight` times.
void SampleHomeDeath(TypeInfo* type, uint32_t weight);
// A biased object's reference had to be queued elsewhere.
void CountAwayDeath(Header* header);

inline void CountHomeDeath(Slot* slot, Header* header) {
  if (REEF_LIKELY(slot->unsampled > 1 && slot->unsampled <= kHomeSample)) {
    --slot->unsampled;
  } else {
    slot->unsampled = kHomeSample;
    SampleHomeDeath(TypeInfoOf(header), kHomeSample);
  }
}
// The same for the paths that only count; false for a death that must go by the other one.
REEF_INLINE bool CountUnsampledDeath(Slot* slot) { return --slot->unsampled != 0; }

}  // namespace reef::internal

#endif  // REEF_LIB_OBJECT_BIAS_H_
