#include "lib/collector/cut_off.h"

#include "lib/collector/finalize.h"
#include "lib/collector/pacer.h"
#include "lib/collector/sweeper.h"
#include "reef/internal/slot.h"

namespace reef::collector {
namespace {

using Reach = UnderWay::Reach;

// A slab that was cut off says nothing, or the state before its last look.
void FindGarbage(const Space& space, uint8_t black) {
  ForEachTracedSlab(space, [black](Slab& slab) {
    slab.has_garbage = false;
    ForEachBlock(slab, [&](const Header* header) {
      if (IsCondemned(header, black)) slab.has_garbage = true;
    });
  });
}

}  // namespace

void DecideCutOff(CollectedHeap* heap) {
  UnderWay& rest = heap->under_way;
  if (rest.reach == Reach::kMarking) {
    rest.reach = Reach::kNothing;
    NoteAborted(heap);
  } else if (rest.reach == Reach::kCondemning) {
    CollectionReport unreported;
    Condemn(*heap->space, rest.black, &unreported, &rest.cells, [] {});
    rest.reach = Reach::kSweeping;
  }
}

void FinishCutOff(CollectedHeap* heap, void (*poll)()) {
  UnderWay& rest = heap->under_way;
  internal::Slot* slot = internal::CurrentSlot();
  if (rest.reach == Reach::kSweeping) {
    RunCallbacks(*heap->space, rest.black, &rest.cells);
    FindGarbage(*heap->space, rest.black);
    ClearGarbage(*heap->space, rest.black, slot, poll);
    FreeGarbage(*heap->space, rest.black, slot, poll);
    rest.reach = Reach::kNothing;
  }
  RunFinalizers(slot, &rest.finalizers);
}

}  // namespace reef::collector
