#include "lib/collector/garbage.h"

#include <cstdio>

#include "lib/collector/control.h"
#include "lib/collector/grasp.h"
#include "lib/object/upgrade.h"
#include "reef/internal/slot.h"
#include "reef/internal/type_info.h"

namespace reef::collector {
namespace {

// As Condemn tells garbage.
bool IsGarbage(const Header* header, uint8_t black) {
  return header->GetStage() == internal::Stage::kLive && IsWhite(header, black) &&
         (header->Shared(std::memory_order_acquire) & internal::kDead) == 0;
}

template <typename Function>
void ForEachGarbage(const Space& space, uint8_t black, Function function) {
  ForEachTracedSlab(space, [&](const Slab& slab) {
    ForEachBlock(slab, [&](Header* header) {
      if (IsGarbage(header, black)) function(slab, header);
    });
  });
}

void Print(const CollectedHeap& heap, const Slab& slab, Header* header) {
  char name[200];
  internal::CopyTypeName(internal::TypeInfoOf(header), name, sizeof name);
  (void)std::fprintf(stderr, "reef: heap %u unreachable: %s at %p, %llu bytes\n", heap.core->index,
                     name, header->Payload(), static_cast<unsigned long long>(slab.block_bytes));
}

// Gives the object a root, unless the program has been quicker: then it is no garbage, or dead.
bool TakeRoot(Header* header) {
  if (IsRoot(header)) return false;
  internal::Slot* slot = internal::CurrentSlot();
  const internal::Bracket bracket(slot);
  return object::TryIncrementExt(slot, header);
}

}  // namespace

Kept KeepGarbage(CollectedHeap* heap, uint8_t black, Marker* marker, CollectionReport* report) {
  const Debugging& debugging = heap->options.debugging;
  if (!debugging.keep_garbage) return Kept::kNothing;
  // Nothing turns white any more, so there is room for all.
  uint64_t room = 0;
  ForEachGarbage(*heap->space, black, [&room](const Slab&, Header*) { ++room; });
  if (!heap->control->ReserveKept(room)) return Kept::kNoRoom;
  uint64_t kept = 0;
  ForEachGarbage(*heap->space, black, [&](const Slab& slab, Header* header) {
    if (kept == room || !Grasp(header, black, &TakeRoot)) return;
    if (debugging.print_garbage) Print(*heap, slab, header);
    heap->control->Keep(header);
    marker->Push(header);
    ++kept;
  });
  report->kept += kept;
  return kept == 0 ? Kept::kNothing : Kept::kSome;
}

void PrintGarbage(const CollectedHeap& heap, uint8_t black) {
  if (!heap.options.debugging.print_garbage) return;
  ForEachGarbage(*heap.space, black,
                 [&heap](const Slab& slab, Header* header) { Print(heap, slab, header); });
}

}  // namespace reef::collector
