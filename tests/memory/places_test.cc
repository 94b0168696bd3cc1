// Places: what a thread keeps of its partly free slabs, and what is taken from it while it sleeps.
#include "lib/memory/places.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::kPartialSlabs;
using internal::SlabOf;

class PlacesTest : public SpaceTest {
 protected:
  ThreadCache* Cache(Slot* slot) { return slot->caches[core_->index]; }
  int KeptBy(Slot* slot) {
    int count = 0;
    for (const Place& place : Cache(slot)->partial[0][kClass]) count += place.load() != 0;
    return count;
  }

  // Whole slabs, by slab; the slot's current one is another.
  std::vector<std::vector<void*>> MakeSlabs(Slot* slot, int count) {
    std::vector<std::vector<void*>> slabs(static_cast<size_t>(count));
    for (auto& blocks : slabs) {
      for (uint32_t i = 0; i < kCapacity; ++i) blocks.push_back(Allocate(slot));
    }
    extra_.push_back(Allocate(slot));
    return slabs;
  }
  // Slabs that the slot keeps, each with one free block; returns the others.
  std::vector<std::vector<void*>> KeepSlabs(Slot* slot, int count) {
    auto slabs = MakeSlabs(slot, count);
    for (auto& blocks : slabs) {
      Free(slot, blocks.back());
      blocks.pop_back();
    }
    return slabs;
  }
};

TEST_F(PlacesTest, EmptySlabsAreTakenFromAThreadThatSleeps) {
  Slot* sleeper = AddSlot();
  Slot* other = AddSlot();
  const auto slabs = KeepSlabs(sleeper, kPartialSlabs);
  ASSERT_EQ(KeptBy(sleeper), kPartialSlabs);
  (void)space_->TakeEmpty();
  for (const auto& blocks : slabs) {
    for (void* block : blocks) Free(other, block);
  }
  EXPECT_TRUE(space_->HasEmpty());
  const SlabBatch batch = TakeEverythingEmpty();
  EXPECT_EQ(batch.count, static_cast<uint32_t>(kPartialSlabs));
  EXPECT_EQ(KeptBy(sleeper), 0);
  for (const auto& blocks : slabs) EXPECT_EQ(SlabOf(blocks[0])->owner.load(), 0u);
  space_->ReturnToSupply(batch);
  space_->Purge(true);
  EXPECT_EQ(space_->committed_bytes(), kSlabBytes) << "its current slab";
  // It wakes up, and has places for other slabs.
  for (uint32_t i = 1; i < kCapacity; ++i) (void)Allocate(sleeper);
  (void)KeepSlabs(sleeper, kPartialSlabs);
  EXPECT_EQ(KeptBy(sleeper), kPartialSlabs);
}

TEST_F(PlacesTest, SlabWithABlockInUseStays) {
  Slot* sleeper = AddSlot();
  Slot* other = AddSlot();
  auto slabs = KeepSlabs(sleeper, 1);
  void* last = slabs[0].back();
  slabs[0].pop_back();
  for (void* block : slabs[0]) Free(other, block);
  Slab* slab = SlabOf(last);
  space_->NoteKeptEmpty(slab);
  EXPECT_EQ(TakeEverythingEmpty().count, 0u);
  EXPECT_EQ(KeptBy(sleeper), 1);
  EXPECT_TRUE(TakeOut(Cache(sleeper), slab)) << "no mark has stayed";
}

TEST_F(PlacesTest, CurrentSlabStays) {
  Slot* sleeper = AddSlot();
  Slot* other = AddSlot();
  void* block = Allocate(sleeper);
  Free(other, block);
  space_->NoteKeptEmpty(SlabOf(block));
  EXPECT_EQ(TakeEverythingEmpty().count, 0u);
  EXPECT_EQ(SlabOf(Allocate(sleeper)), SlabOf(block));
}

TEST_F(PlacesTest, MarkedSlabIsLeftToTheCollectorUntilItHasLooked) {
  Slot* slot = AddSlot();
  const auto slabs = KeepSlabs(slot, 2);
  Slab* marked = SlabOf(slabs[1][0]);
  Place* place = nullptr;
  for (Place& candidate : Cache(slot)->partial[0][kClass]) {
    if (candidate.load() == reinterpret_cast<uintptr_t>(marked)) place = &candidate;
  }
  ASSERT_NE(place, nullptr);
  place->fetch_or(1);
  EXPECT_FALSE(TakeOut(Cache(slot), marked));
  EXPECT_EQ(TakeOutAny(Cache(slot), SlabKind::kRaw, kClass), SlabOf(slabs[0][0]));
  EXPECT_EQ(TakeOutAny(Cache(slot), SlabKind::kRaw, kClass), nullptr);
  // The last block comes back meanwhile: the collector is asked to look once more.
  (void)space_->TakeEmpty();
  for (void* block : slabs[1]) Free(slot, block);
  EXPECT_TRUE(space_->HasEmpty());
  place->fetch_and(~uintptr_t{1});
  EXPECT_EQ(TakeEverythingEmpty().first, marked);
}

TEST_F(PlacesTest, NotesOfAnEarlierLayoutAreForgotten) {
  Slot* slot = AddSlot();
  const std::vector<void*> blocks = FillSlab(slot);
  Slab* slab = SlabOf(blocks[0]);
  for (void* block : blocks) Free(slot, block);
  space_->ReturnToSupply(space_->TakeEmpty());
  space_->NoteKeptEmpty(slab);
  EXPECT_EQ(TakeEverythingEmpty().count, 0u) << "it stands in the supply";
  space_->NoteKeptEmpty(slab);
  void* run = space_->AllocateRun(SlabKind::kRaw, 2 * kSlabBytes, 8);
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(TakeEverythingEmpty().count, 0u);
}

// Other threads free the last blocks of what a thread keeps, while it frees and allocates itself.
TEST_F(PlacesTest, TakingRacesWithItsThreadAndLosesNothing) {
  constexpr size_t kRounds = 300 * kScale;
  // While the listed slabs are in the collector's hands a round takes others, two at most, and as
  // none goes back to the supply here, that may be so in every round.
  Open({.reserve_bytes = (2 * kRounds + kUsableSlabs) * kSlabBytes});
  Slot* owner = AddSlot();
  Slot* other = AddSlot();
  Slot* sink = AddSlot();
  (void)CacheOf(other, space_.get());
  std::atomic<bool> done{false};
  uint64_t taken = 0;
  // What it takes it lists again, without a change of layout, for which it would owe a grace
  // period.
  std::thread collector([&] {
    while (!done.load(std::memory_order_acquire)) {
      space_->NoteEmpty();
      for (SlabBatch batch = TakeEverythingEmpty(); batch.first != nullptr;) {
        Slab* next = NextOf(space_->base(), batch.first);
        ++taken;
        space_->PushAvailable(std::exchange(batch.first, next), true);
      }
    }
  });
  uint64_t faults = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    std::vector<void*> blocks = FillSlab(owner);
    if (extra_.back() == nullptr) {
      ADD_FAILURE() << "no memory in round " << round;
      break;
    }
    for (void* block : blocks) *static_cast<uint64_t*>(block) = round;
    Free(owner, blocks.back());
    blocks.pop_back();
    std::thread remote([&] {
      for (size_t i = 0; i < blocks.size(); i += 2) Free(other, blocks[i]);
    });
    for (size_t i = 1; i < blocks.size(); i += 2) {
      if (*static_cast<uint64_t*>(blocks[i]) != round) ++faults;
      Free(owner, blocks[i]);
    }
    remote.join();
    for (void* block : std::exchange(extra_, {})) Free(sink, block);
  }
  done.store(true, std::memory_order_release);
  collector.join();
  EXPECT_EQ(faults, 0u);
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(UsedEverywhere(), 0u);
  for (Slot* slot : {owner, other, sink}) ReleaseSlabs(slot, space_.get());
  space_->ReturnToSupply(TakeEverythingEmpty());
  space_->Purge(true);
  EXPECT_EQ(space_->committed_bytes(), 0u) << "every slab has found its way back";
}

}  // namespace
}  // namespace reef::memory::test
