// The heap table: indexes, and which heap an address belongs to.
#include "lib/memory/heap_table.h"

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::memory {
namespace {

// A heap with a region of addresses, none of which is touched.
struct FakeHeap {
  FakeHeap(uintptr_t base, uint64_t bytes) {
    core.base.store(base);
    core.bytes.store(bytes);
    index = EnterHeap(&core);
  }
  ~FakeHeap() {
    if (index != 0) RemoveHeap(&core);
  }
  HeapCore core;
  uint32_t index = 0;
};

const void* At(uintptr_t address) { return reinterpret_cast<const void*>(address); }

constexpr uintptr_t kBase = 0x10000000;
constexpr uint64_t kBytes = 0x1000000;

TEST(HeapTableTest, EnteredHeapKnowsItsIndex) {
  FakeHeap heap(kBase, kBytes);
  EXPECT_NE(heap.index, 0u);
  EXPECT_EQ(heap.core.index, heap.index);
  EXPECT_EQ(FindHeap(At(kBase)), &heap.core);
}

TEST(HeapTableTest, AddressesBelongToTheHeapWhoseRegionHoldsThem) {
  FakeHeap one(kBase, kBytes);
  FakeHeap two(kBase + kBytes, kBytes);
  EXPECT_EQ(FindHeap(At(kBase - 1)), nullptr);
  EXPECT_EQ(FindHeap(At(kBase)), &one.core);
  EXPECT_EQ(FindHeap(At(kBase + kBytes - 1)), &one.core);
  EXPECT_EQ(FindHeap(At(kBase + kBytes)), &two.core);
  EXPECT_EQ(FindHeap(At(kBase + 2 * kBytes)), nullptr);
  EXPECT_EQ(FindHeap(nullptr), nullptr);
}

TEST(HeapTableTest, HeapWithoutARegionOwnsNoAddress) {
  FakeHeap heap(0, 0);
  EXPECT_EQ(FindHeap(nullptr), nullptr);
  EXPECT_EQ(FindHeap(At(kBase)), nullptr);
}

TEST(HeapTableTest, RemovedHeapIsGoneAndItsIndexIsReused) {
  uint32_t index = 0;
  {
    FakeHeap heap(kBase, kBytes);
    index = heap.index;
  }
  EXPECT_EQ(FindHeap(At(kBase)), nullptr);
  FakeHeap next(kBase, kBytes);
  EXPECT_EQ(next.index, index);
}

TEST(HeapTableTest, FullTableRefusesAndRecovers) {
  std::vector<std::unique_ptr<FakeHeap>> heaps;
  std::set<uint32_t> indexes;
  for (;;) {
    const uintptr_t base = kBase + heaps.size() * kBytes;
    auto heap = std::make_unique<FakeHeap>(base, kBytes);
    if (heap->index == 0) break;
    EXPECT_TRUE(indexes.insert(heap->index).second);
    heaps.push_back(std::move(heap));
    ASSERT_LT(heaps.size(), size_t{internal::kMaxHeaps});
  }
  // Index 0 is the default heap's.
  EXPECT_EQ(heaps.size(), size_t{internal::kMaxHeaps - 1});
  EXPECT_EQ(FindHeap(At(kBase + 100 * kBytes)), &heaps[100]->core);
  const uint32_t freed = heaps[100]->index;
  heaps.erase(heaps.begin() + 100);
  EXPECT_EQ(FindHeap(At(kBase + 100 * kBytes)), nullptr);
  FakeHeap again(kBase + 100 * kBytes, kBytes);
  EXPECT_EQ(again.index, freed);
}

TEST(HeapTableTest, DefaultHeapHasIndexZero) {
  // Entered once and for all, as in a program; its region lies where no other test looks.
  static constinit HeapCore core;
  core.base.store(uintptr_t{1} << 46);
  core.bytes.store(kBytes);
  EnterDefaultHeap(&core);
  EXPECT_EQ(core.index, 0u);
  EXPECT_EQ(FindHeap(At((uintptr_t{1} << 46) + 8)), &core);
}

}  // namespace
}  // namespace reef::memory
