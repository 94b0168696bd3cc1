// Statistics: figures of a heap at rest are exact.
#include "lib/inspect/statistics.h"

#include <cstdint>

#include "gtest/gtest.h"

#include "lib/collector/collector.h"
#include "lib/memory/heap_table.h"
#include "lib/memory/thread_cache.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"
#include "reef/stats.h"

namespace reef::inspect {
namespace {

TEST(StatisticsTest, FiguresFollowWhatIsInUse) {
  internal::HeapCore core;
  ASSERT_NE(memory::EnterHeap(&core), 0u);
  auto heap =
      collector::OpenHeap(&core, {.reserve_bytes = uint64_t{64} << 20}, {.automatic = false});
  ASSERT_NE(heap, nullptr);
  HeapStats stats = TakeStatistics(heap.get());
  EXPECT_EQ(stats.raw_blocks + stats.live_objects + stats.committed_bytes, 0u);
  EXPECT_EQ(stats.reserved_bytes, uint64_t{64} << 20);

  internal::Slot* slot = internal::CurrentSlot();
  constexpr int kClass = internal::ClassOf(64);
  void* raw = memory::Refill(slot, heap->space.get(), internal::SlabKind::kRaw, kClass);
  void* run = heap->space->AllocateRun(internal::SlabKind::kRaw, 100'000, 8);
  stats = TakeStatistics(heap.get());
  EXPECT_EQ(stats.raw_blocks, 2u);
  EXPECT_EQ(stats.raw_bytes, 64 + 2 * internal::kSlabBytes);
  EXPECT_EQ(stats.live_objects, 0u);
  EXPECT_EQ(stats.cached_bytes, 4096u - 64) << "the rest of a page of blocks";
  EXPECT_EQ(stats.committed_bytes, 3 * internal::kSlabBytes);
  EXPECT_NE(stats.resident_bytes, 0u);

  internal::FreeBlock<false>(slot, slot->slab_owner, raw);
  internal::FreeBlock<false>(slot, slot->slab_owner, run);
  EXPECT_EQ(TakeStatistics(heap.get()).raw_blocks, 0u);
  (void)collector::Collect(heap.get());
  EXPECT_EQ(TakeStatistics(heap.get()).collections, 1u);
  EXPECT_EQ(collector::CloseHeap(heap.get()), 0u);
}

}  // namespace
}  // namespace reef::inspect
