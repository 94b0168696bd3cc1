// How a heap begins and ends: its region, its place with the collector thread, its index.
#include <memory>
#include <new>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "lib/collector/collector.h"
#include "lib/collector/control.h"
#include "lib/collector/pacer.h"
#include "lib/memory/heap_table.h"
#include "lib/memory/thread_cache.h"
#include "lib/os/fault.h"
#include "lib/threads/rendezvous.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/slot.h"

namespace reef::collector {
namespace {

uint64_t CountObjects(CollectedHeap* heap) {
  uint64_t objects = 0;
  const std::shared_lock<std::shared_mutex> lock(heap->layout);
  heap->space->ForEachSlab([&objects](const Slab& slab) {
    if (slab.kind != internal::SlabKind::kRaw) objects += Space::UsedBlocks(slab);
  });
  return objects;
}

}  // namespace

std::unique_ptr<CollectedHeap> OpenHeap(HeapCore* core, const memory::SpaceOptions& memory,
                                        const CollectorOptions& options,
                                        FinalizerExecutor executor) {
  // The table of threads before the region, which takes what addresses there are.
  (void)internal::CurrentSlot();
  if (os::IsFaultDue()) return nullptr;
  std::unique_ptr<CollectedHeap> heap(new (std::nothrow) CollectedHeap);
  if (heap == nullptr) return nullptr;
  heap->core = core;
  heap->options = options;
  heap->finalizer_executor = std::move(executor);
  try {
    os::ThrowIfFaultDue();
    heap->control = std::make_shared<Control>(options);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  heap->space = Space::Create(core, memory);
  if (heap->space == nullptr) return nullptr;
  core->collected = heap.get();
  core->finalizer_executor = heap->finalizer_executor ? &heap->finalizer_executor : nullptr;
  // The core may have served another heap before.
  core->black.store(1, std::memory_order_relaxed);
  core->birth.store(
      (uint64_t{1} << internal::kColourShift) |
          (static_cast<uint64_t>(internal::Stage::kBuilding) << internal::kStageShift),
      std::memory_order_release);
  heap->pacing.ended = os::Now();
  heap->pacing.suspects = CountSuspects();
  EnterHeap(heap.get());
  return heap;
}

std::optional<uint64_t> CloseHeap(CollectedHeap* heap, bool finalize) {
  if (!CollectAtEnd(heap)) return std::nullopt;
  if (finalize && CountObjects(heap) != 0) {
    heap->finalize_reachable = true;
    if (!CollectAtEnd(heap)) return std::nullopt;
  }
  // An object's destructor may have told the program that it is gone while its thread is still
  // about to return the block.
  const Nanoseconds deadline = os::Now() + std::chrono::milliseconds(100);
  os::Backoff backoff;
  uint64_t objects = CountObjects(heap);
  for (; objects != 0 && os::Now() < deadline; objects = CountObjects(heap)) backoff.Pause();
  if (objects != 0) return objects;
  if (!LeaveHeap(heap)) return std::nullopt;
  // Nor is anyone in the middle of returning the last block: that is a bracket.
  threads::Rendezvous();
  threads::ForEachSlot(
      [heap](internal::Slot& slot) { memory::DropCache(&slot, heap->space.get()); });
  memory::RemoveHeap(heap->core);
  heap->space.reset();
  return 0;
}

}  // namespace reef::collector
