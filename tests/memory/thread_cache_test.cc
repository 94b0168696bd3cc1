// Thread caches: where blocks come from, where they go, and that each is in one place at a time.
#include "lib/memory/thread_cache.h"

#include <cstdint>
#include <cstring>
#include <set>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

#include "lib/os/chaos.h"
#include "reef/internal/poison.h"
#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::g_empty_cache;
using internal::g_empty_slab;
using internal::kPartialSlabs;
using internal::kPinned;
using internal::kRemoteFull;
using internal::RemoteCount;
using internal::SlabOf;

class ThreadCacheTest : public SpaceTest {
 protected:
  ThreadCache* CacheOfSlot(Slot* slot) { return slot->caches[core_->index]; }
  Slab* Current(Slot* slot) { return CacheOfSlot(slot)->current[0][kClass]; }
  int Partials(Slot* slot) {
    int count = 0;
    for (const auto& place : CacheOfSlot(slot)->partial[0][kClass]) count += place.load() != 0;
    return count;
  }
};

TEST_F(ThreadCacheTest, CacheIsMadeOnceAndDropped) {
  Slot* slot = AddSlot();
  EXPECT_EQ(CacheOfSlot(slot), &g_empty_cache);
  ThreadCache* cache = CacheOf(slot, space_.get());
  ASSERT_NE(cache, nullptr);
  EXPECT_NE(cache, &g_empty_cache);
  EXPECT_EQ(cache->core, core_.get());
  EXPECT_EQ(CacheOf(slot, space_.get()), cache);
  EXPECT_EQ(CacheOfSlot(slot), cache);
  DropCache(slot, space_.get());
  EXPECT_EQ(CacheOfSlot(slot), &g_empty_cache);
}

#if defined(REEF_CHAOS) && REEF_CHAOS

// A fork that cuts the thread off there must leave the child nothing to unmap once more.
TEST_F(ThreadCacheTest, CacheIsForgottenBeforeItsMemoryGoes) {
  static Slot* slot = nullptr;
  static uint32_t heap = 0;
  static bool forgotten = false;
  slot = AddSlot();
  heap = core_->index;
  ASSERT_NE(CacheOf(slot, space_.get()), nullptr);
  os::SetChaosHook([](const char* name) {
    if (std::string_view(name) != "cache forgotten, not unmapped") return;
    forgotten = slot->caches[heap] == &g_empty_cache;
  });
  DropCache(slot, space_.get());
  os::SetChaosHook(nullptr);
  EXPECT_TRUE(forgotten);
}

#endif

TEST_F(ThreadCacheTest, RefillOwnsANewSlabAndCarvesAPage) {
  Slot* slot = AddSlot();
  void* block = Refill(slot, space_.get(), SlabKind::kRaw, kClass);
  Slab* slab = SlabOf(block);
  EXPECT_EQ(block, internal::SlabBase(slab));
  EXPECT_EQ(slab->owner.load(), slot->index + 1);
  EXPECT_EQ(slab->carved.load(), kPerPage);
  EXPECT_EQ(slab->used.load(), kPinned + 1);
  EXPECT_EQ(Current(slot), slab);
}

TEST_F(ThreadCacheTest, CarvingGoesOnPageByPageUpToCapacity) {
  Slot* slot = AddSlot();
  Slab* slab = SlabOf(Allocate(slot));
  for (uint32_t i = 1; i < kCapacity; ++i) {
    EXPECT_EQ(slab->carved.load(), (i + kPerPage - 1) / kPerPage * kPerPage);
    ASSERT_EQ(SlabOf(Allocate(slot)), slab);
  }
  EXPECT_EQ(slab->carved.load(), kCapacity);
}

TEST_F(ThreadCacheTest, LargestClassIsCarvedBlockByBlock) {
  Slot* slot = AddSlot();
  constexpr int kLargest = internal::kClasses - 1;
  Slab* slab = SlabOf(Allocate(slot, SlabKind::kRaw, kLargest));
  EXPECT_EQ(slab->capacity, 2u);
  EXPECT_EQ(slab->carved.load(), 1u);
  EXPECT_EQ(SlabOf(Allocate(slot, SlabKind::kRaw, kLargest)), slab);
  EXPECT_NE(SlabOf(Allocate(slot, SlabKind::kRaw, kLargest)), slab);
}

TEST_F(ThreadCacheTest, CarvedHeadersReadFree) {
  Slot* slot = AddSlot();
  // The memory has served raw bytes before.
  void* run = space_->AllocateRun(SlabKind::kRaw, kSlabBytes, 8);
  std::memset(run, 0xff, kSlabBytes);
  space_->FreeRun(AddSlot(), SlabOf(run));
  space_->ReturnToSupply(space_->TakeEmpty());
  auto* block = static_cast<char*>(Allocate(slot, SlabKind::kTraced));
  ASSERT_EQ(SlabOf(block), SlabOf(run));
  for (uint32_t i = 0; i < SlabOf(block)->carved.load(); ++i) {
    EXPECT_EQ(reinterpret_cast<Header*>(block + 128 * i)->GetStage(), internal::Stage::kFree);
  }
}

TEST_F(ThreadCacheTest, BlocksFreedByOthersComeBeforeUntouchedOnes) {
  Slot* owner = AddSlot();
  Slot* other = AddSlot();
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < kPerPage; ++i) blocks.push_back(Allocate(owner));
  Slab* slab = SlabOf(blocks[0]);
  Free(other, blocks[3]);
  Free(other, blocks[5]);
  EXPECT_EQ(slab->used.load(), kPinned + kPerPage);
  EXPECT_EQ(Allocate(owner), blocks[5]);
  EXPECT_EQ(slab->used.load(), kPinned + kPerPage - 1);
  EXPECT_EQ(slab->remote.load(), 0u);
  EXPECT_EQ(Allocate(owner), blocks[3]);
  EXPECT_EQ(slab->carved.load(), kPerPage);
  (void)Allocate(owner);
  EXPECT_EQ(slab->carved.load(), 2 * kPerPage);
}

TEST_F(ThreadCacheTest, FullSlabLeavesItsThread) {
  Slot* slot = AddSlot();
  Slab* slab = SlabOf(FillSlab(slot)[0]);
  EXPECT_EQ(slab->owner.load(), 0u);
  EXPECT_EQ(slab->remote.load(), kRemoteFull);
  EXPECT_EQ(slab->used.load(), kCapacity);
  EXPECT_NE(Current(slot), slab);
  EXPECT_EQ(space_->PopAvailable(SlabKind::kRaw, kClass), nullptr);
}

TEST_F(ThreadCacheTest, FirstToFreeIntoAFullSlabOwnsIt) {
  Slot* maker = AddSlot();
  Slot* freer = AddSlot();
  const std::vector<void*> blocks = FillSlab(maker);
  (void)CacheOf(freer, space_.get());
  Slab* slab = SlabOf(blocks[0]);
  Free(freer, blocks[9]);
  EXPECT_EQ(slab->owner.load(), freer->index + 1);
  EXPECT_EQ(slab->remote.load(), 0u);
  EXPECT_EQ(slab->used.load(), kCapacity - 1);
  EXPECT_EQ(Partials(freer), 1);
  EXPECT_EQ(Allocate(freer), blocks[9]);
  EXPECT_EQ(slab->used.load(), kPinned + kCapacity);
  EXPECT_EQ(Partials(freer), 0);
}

TEST_F(ThreadCacheTest, ThreadWithoutACacheListsTheFullSlab) {
  Slot* maker = AddSlot();
  Slot* freer = AddSlot();
  const std::vector<void*> blocks = FillSlab(maker);
  Slab* slab = SlabOf(blocks[0]);
  Free(freer, blocks[9]);
  EXPECT_EQ(slab->owner.load(), 0u);
  EXPECT_EQ(RemoteCount(slab->remote.load()), 1u);
  // The maker gets it back when its current slab is full.
  while (SlabOf(Allocate(maker)) != slab) {
  }
  EXPECT_EQ(slab->owner.load(), maker->index + 1);
  EXPECT_EQ(slab->used.load(), kPinned + kCapacity);
  EXPECT_EQ(space_->committed_bytes(), 2 * kSlabBytes);
}

TEST_F(ThreadCacheTest, ThreadKeepsFewPartlyFreeSlabs) {
  Slot* slot = AddSlot();
  std::vector<std::vector<void*>> slabs;
  for (int i = 0; i < kPartialSlabs + 2; ++i) slabs.push_back(FillSlab(slot));
  for (const auto& blocks : slabs) Free(slot, blocks[0]);
  EXPECT_EQ(Partials(slot), kPartialSlabs);
  int available = 0;
  while (space_->PopAvailable(SlabKind::kRaw, kClass) != nullptr) ++available;
  EXPECT_EQ(available, 2);
}

TEST_F(ThreadCacheTest, PartlyFreeSlabsComeBeforeListedAndNewOnes) {
  Slot* slot = AddSlot();
  const std::vector<void*> mine = FillSlab(slot);
  Slot* other = AddSlot();
  const std::vector<void*> listed = FillSlab(slot);
  Free(slot, mine[0]);
  Free(other, listed[0]);
  while (SlabOf(Allocate(slot)) == SlabOf(extra_.back())) {
  }
  EXPECT_EQ(Current(slot), SlabOf(mine[0]));
  (void)Allocate(slot);
  EXPECT_EQ(Current(slot), SlabOf(listed[0]));
  (void)Allocate(slot);
  EXPECT_NE(Current(slot), SlabOf(listed[0]));
  EXPECT_EQ(Current(slot)->used.load(), kPinned + 1) << "a new one";
}

TEST_F(ThreadCacheTest, EmptyPartialSlabIsGivenToEverybody) {
  Slot* slot = AddSlot();
  const std::vector<void*> blocks = FillSlab(slot);
  for (void* block : blocks) Free(slot, block);
  Slab* slab = SlabOf(blocks[0]);
  EXPECT_EQ(Partials(slot), 0);
  EXPECT_EQ(slab->owner.load(), 0u);
  EXPECT_EQ(slab->used.load(), 0u);
  EXPECT_TRUE(space_->HasEmpty());
  EXPECT_EQ(space_->PopAvailable(SlabKind::kRaw, kClass), slab);
}

TEST_F(ThreadCacheTest, EmptyCurrentSlabStays) {
  Slot* slot = AddSlot();
  void* block = Allocate(slot);
  Free(slot, block);
  EXPECT_EQ(Current(slot), SlabOf(block));
  EXPECT_FALSE(space_->HasEmpty());
}

TEST_F(ThreadCacheTest, ChainReturnsByOneExchange) {
  Slot* owner = AddSlot();
  Slot* other = AddSlot();
  void* a = Allocate(owner);
  void* b = Allocate(owner);
  void* c = Allocate(owner);
  Slab* slab = SlabOf(a);
  Free(other, c);
  internal::LinkOf(a, 0) = b;
  FreeChain(other, slab, a, b, 2);
  EXPECT_EQ(RemoteCount(slab->remote.load()), 3u);
  EXPECT_EQ(slab->remote.load() & internal::kLinkMask, reinterpret_cast<uintptr_t>(a));
  EXPECT_EQ(internal::LinkOf(b, 0), c);
  EXPECT_EQ(Space::UsedBlocks(*slab), 0u);
}

TEST_F(ThreadCacheTest, OwnersChainGoesToItsList) {
  Slot* owner = AddSlot();
  void* a = Allocate(owner);
  void* b = Allocate(owner);
  internal::LinkOf(a, 0) = b;
  FreeChain(owner, SlabOf(a), a, b, 2);
  EXPECT_EQ(SlabOf(a)->used.load(), kPinned);
  EXPECT_EQ(SlabOf(a)->remote.load(), 0u);
  EXPECT_EQ(Allocate(owner), a);
  EXPECT_EQ(Allocate(owner), b);
}

TEST_F(ThreadCacheTest, ChainThatEmptiesAFullSlabListsItAsEmpty) {
  Slot* maker = AddSlot();
  Slot* freer = AddSlot();
  const std::vector<void*> blocks = FillSlab(maker);
  for (size_t i = 0; i + 1 < blocks.size(); ++i) internal::LinkOf(blocks[i], 0) = blocks[i + 1];
  FreeChain(freer, SlabOf(blocks[0]), blocks.front(), blocks.back(), kCapacity);
  EXPECT_TRUE(space_->HasEmpty());
  EXPECT_EQ(space_->TakeEmpty().first, SlabOf(blocks[0]));
}

TEST_F(ThreadCacheTest, ReleaseListsCurrentAndPartialSlabs) {
  Slot* slot = AddSlot();
  const std::vector<void*> blocks = FillSlab(slot);
  Free(slot, blocks[0]);
  Slab* current = Current(slot);
  ReleaseSlabs(slot, space_.get());
  EXPECT_EQ(Current(slot), &g_empty_slab);
  EXPECT_EQ(Partials(slot), 0);
  std::set<Slab*> listed;
  while (Slab* slab = space_->PopAvailable(SlabKind::kRaw, kClass)) {
    EXPECT_EQ(slab->owner.load(), 0u);
    listed.insert(slab);
  }
  EXPECT_EQ(listed, (std::set<Slab*>{current, SlabOf(blocks[0])}));
  EXPECT_EQ(current->used.load(), 1u);
  // Said in any case: a block freed by another thread a moment ago may have emptied one of them.
  EXPECT_TRUE(space_->HasEmpty());
}

TEST_F(ThreadCacheTest, ReleaseLeavesAFullCurrentSlabFull) {
  Slot* slot = AddSlot();
  void* block = nullptr;
  for (uint32_t i = 0; i < kCapacity; ++i) block = Allocate(slot);
  ASSERT_EQ(Current(slot), SlabOf(block));
  ReleaseSlabs(slot, space_.get());
  EXPECT_EQ(SlabOf(block)->remote.load(), kRemoteFull);
  EXPECT_EQ(SlabOf(block)->used.load(), kCapacity);
  EXPECT_EQ(space_->PopAvailable(SlabKind::kRaw, kClass), nullptr);
}

TEST_F(ThreadCacheTest, ReleaseOfAnEmptyCurrentSlabSaysSo) {
  Slot* slot = AddSlot();
  Free(slot, Allocate(slot));
  ReleaseSlabs(slot, space_.get());
  EXPECT_TRUE(space_->HasEmpty());
  EXPECT_EQ(space_->TakeEmpty().count, 1u);
}

TEST_F(ThreadCacheTest, ReleasedBlocksServeTheNextThread) {
  Slot* slot = AddSlot();
  void* block = Allocate(slot);
  Free(slot, block);
  ReleaseSlabs(slot, space_.get());
  Slot* next = AddSlot();
  EXPECT_EQ(Allocate(next), block);
  EXPECT_EQ(SlabOf(block)->owner.load(), next->index + 1);
}

TEST_F(ThreadCacheTest, RefillIsNullAtTheLimit) {
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = kSlabBytes});
  Slot* slot = AddSlot();
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < kCapacity; ++i) blocks.push_back(Allocate(slot));
  EXPECT_EQ(Allocate(slot), nullptr);
  EXPECT_EQ(Allocate(slot), nullptr);
  Free(slot, blocks[7]);
  EXPECT_EQ(Allocate(slot), blocks[7]);
}

TEST_F(ThreadCacheTest, FreeBlockOfARunFreesTheRun) {
  Slot* slot = AddSlot();
  void* run = space_->AllocateRun(SlabKind::kRaw, 2 * kSlabBytes, 8);
  Free(slot, run);
  EXPECT_EQ(SlabOf(run)->used.load(), 0u);
  EXPECT_EQ(space_->AllocateRun(SlabKind::kRaw, 2 * kSlabBytes, 8), run);
}

TEST_F(ThreadCacheTest, SpacesDoNotShareCaches) {
  Slot* slot = AddSlot();
  HeapCore other_core;
  ASSERT_NE(EnterHeap(&other_core), 0u);
  auto other = Space::Create(&other_core, {.reserve_bytes = uint64_t{64} << 20});
  ASSERT_NE(other, nullptr);
  void* mine = Allocate(slot);
  void* theirs = Refill(slot, other.get(), SlabKind::kRaw, kClass);
  EXPECT_EQ(Space::Of(mine), space_.get());
  EXPECT_EQ(Space::Of(theirs), other.get());
  DropCache(slot, other.get());
  EXPECT_EQ(Current(slot), SlabOf(mine));
  RemoveHeap(&other_core);
}

#if REEF_POISONS
TEST_F(ThreadCacheTest, FreeBlockIsPoisonedBehindHeaderAndLink) {
  auto* block = static_cast<char*>(Allocate(AddSlot(), SlabKind::kTraced));
  internal::PoisonBlock(block);
  EXPECT_EQ(__asan_region_is_poisoned(block, 24), nullptr);
  EXPECT_EQ(__asan_region_is_poisoned(block, 128), block + 24);
  EXPECT_EQ(__asan_address_is_poisoned(block + 127), 1);
  EXPECT_EQ(__asan_address_is_poisoned(block + 128), 0);
  internal::UnpoisonBlock(block);
  EXPECT_EQ(__asan_region_is_poisoned(block, 128), nullptr);
}

TEST_F(ThreadCacheTest, SlabThatChangesItsLayoutIsUnpoisoned) {
  Slot* slot = AddSlot();
  void* block = Allocate(slot, SlabKind::kTraced);
  internal::PoisonBlock(block);
  ReleaseSlabs(slot, space_.get());
  Free(slot, block);
  space_->ReturnToSupply(space_->TakeEmpty());
  ASSERT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), SlabOf(block));
  EXPECT_EQ(__asan_region_is_poisoned(block, kSlabBytes), nullptr);
}
#endif

}  // namespace
}  // namespace reef::memory::test
