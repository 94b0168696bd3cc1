// Slab metadata and the fast paths: finding a slab by an address, popping and freeing blocks.
#include "reef/internal/slab.h"

#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::kPinned;
using internal::kRemoteFull;
using internal::SlabBase;
using internal::SlabOf;

class SlabTest : public SpaceTest {};

TEST_F(SlabTest, EveryAddressOfASlabFindsItsMetadata) {
  Slab* slab = space_->TakeSlab(SlabKind::kRaw, kClass);
  char* base = SlabBase(slab);
  EXPECT_EQ(SlabOf(base), slab);
  EXPECT_EQ(SlabOf(base + kSlabBytes - 1), slab);
  EXPECT_NE(SlabOf(base + kSlabBytes), slab);
  EXPECT_NE(SlabOf(base - 1), slab);
  EXPECT_EQ(internal::SegmentOf(slab)->core, core_.get());
}

TEST_F(SlabTest, RemoteWordHoldsACountOrFull) {
  EXPECT_EQ(internal::RemoteCount(kRemoteFull), 0u);
  EXPECT_EQ(internal::RemoteCount((uint64_t{8192} << internal::kRemoteCountShift) | 0x1234), 8192u);
  // The most blocks a slab can have fit the count, and stay clear of the pin.
  EXPECT_LT(kSlabBytes / 8, size_t{1} << 15);
  EXPECT_LT(kSlabBytes / 8, size_t{kPinned});
}

TEST_F(SlabTest, EmptySlabGivesNothing) {
  Slot* slot = AddSlot();
  for (int kind = 0; kind < internal::kKinds; ++kind) {
    for (int i = 0; i < internal::kClasses; ++i) {
      EXPECT_EQ(internal::PopBlock(slot->caches[core_->index], static_cast<SlabKind>(kind), i),
                nullptr);
    }
  }
}

TEST_F(SlabTest, PopBlockCountsAndGivesNeighbours) {
  Slot* slot = AddSlot();
  auto* first = static_cast<char*>(Allocate(slot));
  Slab* slab = SlabOf(first);
  EXPECT_EQ(slab->used.load(), kPinned + 1);
  auto* second = internal::PopBlock(slot->caches[core_->index], SlabKind::kRaw, kClass);
  EXPECT_EQ(second, first + 128);
  EXPECT_EQ(slab->used.load(), kPinned + 2);
}

TEST_F(SlabTest, LastFreedBlockIsTheNextOneGiven) {
  Slot* slot = AddSlot();
  std::vector<void*> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(Allocate(slot));
  for (void* block : blocks) Free(slot, block);
  EXPECT_EQ(SlabOf(blocks[0])->used.load(), kPinned);
  for (size_t i = blocks.size(); i-- > 0;) EXPECT_EQ(Allocate(slot), blocks[i]);
}

TEST_F(SlabTest, LinkOfAnObjectBlockLeavesItsHeaderAlone) {
  Slot* slot = AddSlot();
  void* a = Allocate(slot, SlabKind::kTraced);
  void* b = Allocate(slot, SlabKind::kTraced);
  for (void* block : {a, b}) {
    static_cast<Header*>(block)->Bear(0x0012345600000000u, 77);
    Free(slot, block);
  }
  EXPECT_EQ(static_cast<Header*>(b)->Type(), 0x3456);
  EXPECT_EQ(static_cast<Header*>(b)->Shared(std::memory_order_relaxed), 77u);
  EXPECT_EQ(internal::LinkOf(b, Header::kBytes), a);
}

TEST_F(SlabTest, FreeByAnotherThreadLeavesTheOwnersFields) {
  Slot* owner = AddSlot();
  Slot* other = AddSlot();
  void* block = Allocate(owner);
  Slab* slab = SlabOf(block);
  void* free_before = slab->free;
  Free(other, block);
  EXPECT_EQ(slab->free, free_before);
  EXPECT_EQ(slab->used.load(), kPinned + 1);
  EXPECT_EQ(internal::RemoteCount(slab->remote.load()), 1u);
  EXPECT_EQ(slab->remote.load() & internal::kLinkMask, reinterpret_cast<uintptr_t>(block));
  EXPECT_EQ(slab->owner.load(), owner->index + 1);
}

TEST_F(SlabTest, EveryBlockOfASlabIsGivenOnce) {
  Slot* slot = AddSlot();
  const std::vector<void*> blocks = FillSlab(slot);
  const std::set<void*> distinct(blocks.begin(), blocks.end());
  EXPECT_EQ(distinct.size(), kCapacity);
  for (void* block : blocks) EXPECT_EQ(SlabOf(block), SlabOf(blocks[0]));
  EXPECT_NE(SlabOf(extra_[0]), SlabOf(blocks[0]));
}

}  // namespace
}  // namespace reef::memory::test
