#include "lib/collector/finalize.h"

#include "lib/collector/grasp.h"
#include "lib/collector/sweeper.h"
#include "lib/object/deferral.h"
#include "lib/object/finalizer.h"
#include "lib/object/weak.h"
#include "lib/os/fork.h"

namespace reef::collector {
namespace {

using internal::kDead;
using internal::kFinalizable;
using internal::SlabBase;
using internal::Stage;
using internal::WeakRecord;

// A first look, without a hazard: most blocks end here.
bool MayBeTaken(const Header* header, uint8_t black) {
  if (header->GetStage() != Stage::kLive || !IsWhite(header, black)) return false;
  const uint64_t word = header->Shared(std::memory_order_acquire);
  return (word & kFinalizable) != 0 && (word & kDead) == 0 && !IsRoot(header);
}

// The condemned object that `address` lies in, if it does.
bool LiesInGarbage(const Space& space, uint8_t black, const void* address) {
  const auto word = reinterpret_cast<uintptr_t>(address);
  if (!space.Contains(word)) return false;
  const internal::Slab* slab = space.SlabAround(word);
  if (slab == nullptr || !internal::IsTraced(slab->kind)) return false;
  const char* first = SlabBase(slab) + slab->first;
  const auto offset = static_cast<size_t>(reinterpret_cast<const char*>(address) - first);
  const size_t block = slab->run_slabs != 0 ? 0 : offset / slab->block_bytes;
  return IsCondemned(reinterpret_cast<const Header*>(first + block * slab->block_bytes), black);
}

void Add(TakenFinalizers* taken, Header* header) {
  object::FinalizerLink(header) = nullptr;
  if (taken->first == nullptr) {
    taken->first = header;
  } else {
    object::FinalizerLink(taken->last) = header;
  }
  taken->last = header;
  ++taken->count;
}

}  // namespace

bool TakeFinalizers(const Space& space, uint8_t black, Marker* marker, TakenFinalizers* taken,
                    Marker::Poll poll) {
  const uint64_t before = taken->count;
  ForEachTracedSlab(space, [&](const Slab& slab) {
    poll();
    if (!slab.finalizable.load(std::memory_order_relaxed)) return;
    ForEachBlock(slab, [&](Header* header) {
      const auto take = [](Header* white) {
        return object::TakeFinalizer(white, /*rooted_too=*/false);
      };
      if (!MayBeTaken(header, black) || !Grasp(header, black, take)) return;
      Add(taken, header);
      marker->Push(header);
    });
  });
  return taken->count != before;
}

void FinalizeReachable(CollectedHeap* heap) {
  TakenFinalizers* taken = &heap->under_way.finalizers;
  heap->space->ForEachSlab([taken](const Slab& slab) {
    if (slab.kind == internal::SlabKind::kRaw || !slab.finalizable.load(std::memory_order_relaxed))
      return;
    ForEachBlock(slab, [taken](Header* header) {
      if (header->GetStage() == Stage::kLive && object::TakeFinalizer(header, /*rooted_too=*/true))
        Add(taken, header);
    });
  });
  RunFinalizers(internal::CurrentSlot(), taken);
}

void RunFinalizers(internal::Slot* slot, TakenFinalizers* taken) {
  for (Header *header = taken->first, *next; header != nullptr; header = next) {
    next = object::FinalizerLink(header);
    object::QueueFinalizer(slot, header);
  }
  *taken = {};
  const os::ForkWindow window;
  // What dies by them waits until none is left: all finalizers of a garbage graph come before its
  // first destructor, also where one of them takes the graph apart.
  const object::Deferral deferral(slot);
  while (object::RunNextFinalizer(slot)) os::PassWindow();
}

void ClearedCells::Add(Header* header) {
  internal::WeakCell* cell = object::DetachCell(header);
  if (cell == nullptr) return;
  cell->next = nullptr;
  if (first == nullptr) {
    first = cell;
  } else {
    last->next = cell;
  }
  last = cell;
}

void RunCallbacks(const Space& space, uint8_t black, ClearedCells* cells) {
  // All of the cancelling before the first call: a callback may end handles, and make new objects.
  for (internal::WeakCell* cell = cells->first; cell != nullptr; cell = cell->next) {
    WeakRecord* record = cell->records.load(std::memory_order_acquire);
    for (; record != nullptr; record = record->next) {
      if (LiesInGarbage(space, black, record->handle.load(std::memory_order_relaxed))) {
        object::SilenceRecord(record);
      }
    }
  }
  while (internal::WeakCell* cell = cells->first) {
    cells->first = cell->next;
    const os::ForkWindow window;
    object::EndCell(space.core(), cell);
  }
}

}  // namespace reef::collector
