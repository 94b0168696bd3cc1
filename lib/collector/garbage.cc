#include "lib/collector/garbage.h"

#include <cstdio>
#include <string_view>

#include "lib/collector/control.h"
#include "lib/object/type_name.h"
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

void Print(const CollectedHeap& heap, uint8_t black) {
  ForEachGarbage(*heap.space, black, [&heap](const Slab& slab, Header* header) {
    const std::string_view name = object::TypeName(*internal::TypeInfoOf(header));
    (void)std::fprintf(stderr, "reef: heap %u unreachable: %.*s at %p, %llu bytes\n",
                       heap.core->index, static_cast<int>(name.size()), name.data(),
                       header->Payload(), static_cast<unsigned long long>(slab.block_bytes));
  });
}

bool Keep(CollectedHeap* heap, uint8_t black, CollectionReport* report) {
  uint64_t count = 0;
  ForEachGarbage(*heap->space, black, [&count](const Slab&, Header*) { ++count; });
  if (!heap->control->ReserveKept(count)) return false;
  ForEachGarbage(*heap->space, black, [&](const Slab&, Header* header) {
    // The root in `shared`, as another thread's would be. It cannot be full: it is not positive.
    header->AddShared(internal::kSharedExt);
    header->SetColour(black);
    heap->control->Keep(header);
    ++report->kept;
  });
  return true;
}

}  // namespace

bool ShowGarbage(CollectedHeap* heap, uint8_t black, CollectionReport* report) {
  const Debugging& debugging = heap->options.debugging;
  if (debugging.print_garbage) Print(*heap, black);
  return !debugging.keep_garbage || Keep(heap, black, report);
}

}  // namespace reef::collector
