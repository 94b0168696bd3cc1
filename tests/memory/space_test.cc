// The region: creation, look-ups by address, figures.
#include "lib/memory/space.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "gtest/gtest.h"

#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

class SpaceItselfTest : public SpaceTest {
 protected:
  bool IsObject(const void* address, ptrdiff_t offset = 0) const {
    return space_->IsObject(reinterpret_cast<uintptr_t>(address) + static_cast<uintptr_t>(offset));
  }
};

TEST_F(SpaceItselfTest, CreateFillsInTheCore) {
  EXPECT_EQ(core_->space, space_.get());
  EXPECT_EQ(core_->base.load(), reinterpret_cast<uintptr_t>(space_->base()));
  EXPECT_EQ(core_->bytes.load(), space_->reserved_bytes());
  EXPECT_EQ(core_->base.load() % kSegmentBytes, 0u);
  EXPECT_EQ(Space::Of(core_.get()), space_.get());
}

TEST_F(SpaceItselfTest, ReservationIsAtLeast64MiBAndWholeSegments) {
  Open({.reserve_bytes = 1});
  EXPECT_EQ(space_->reserved_bytes(), uint64_t{64} << 20);
  Open({.reserve_bytes = (uint64_t{64} << 20) + 1});
  EXPECT_EQ(space_->reserved_bytes(), (uint64_t{64} << 20) + kSegmentBytes);
}

TEST_F(SpaceItselfTest, ImpossibleReservationFallsBackToLess) {
  // More than the address space of a process: halved until the system grants it.
  Open({.reserve_bytes = uint64_t{1} << 49});
  EXPECT_LT(space_->reserved_bytes(), uint64_t{1} << 49);
  EXPECT_GE(space_->reserved_bytes(), uint64_t{64} << 20);
  EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr);
}

TEST_F(SpaceItselfTest, LimitIsWhatWasAskedForButNotMoreThanAddresses) {
  EXPECT_EQ(space_->max_bytes(), space_->reserved_bytes());
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = 3 * kSlabBytes + 5});
  EXPECT_EQ(space_->max_bytes(), 3 * kSlabBytes);
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = uint64_t{1} << 40});
  EXPECT_EQ(space_->max_bytes(), space_->reserved_bytes());
}

TEST_F(SpaceItselfTest, ContainsExactlyItsRegion) {
  const auto base = reinterpret_cast<uintptr_t>(space_->base());
  EXPECT_TRUE(space_->Contains(base));
  EXPECT_TRUE(space_->Contains(base + space_->reserved_bytes() - 1));
  EXPECT_FALSE(space_->Contains(base - 1));
  EXPECT_FALSE(space_->Contains(base + space_->reserved_bytes()));
}

TEST_F(SpaceItselfTest, UntouchedRegionHoldsNoObjectsAndNoSlabs) {
  EXPECT_FALSE(IsObject(space_->base()));
  EXPECT_FALSE(IsObject(space_->base(), kSlabBytes));
  EXPECT_FALSE(IsObject(space_->base(), -8));
  int slabs = 0;
  space_->ForEachSlab([&slabs](const Slab&) { ++slabs; });
  EXPECT_EQ(slabs, 0);
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_EQ(space_->ResidentBytes(), 0u);
}

TEST_F(SpaceItselfTest, BlockStartsOfObjectSlabsAreObjects) {
  Slot* slot = AddSlot();
  for (const SlabKind kind : {SlabKind::kLeaf, SlabKind::kTraced}) {
    auto* block = static_cast<char*>(Allocate(slot, kind));
    EXPECT_TRUE(IsObject(block));
    EXPECT_TRUE(IsObject(block, 128));
    for (const ptrdiff_t offset : {-16, -8, 1, 8, 16, 64, 120})
      EXPECT_FALSE(IsObject(block, offset));
  }
}

TEST_F(SpaceItselfTest, BlocksThatWereNeverCarvedAreNoObjects) {
  auto* first = static_cast<char*>(Allocate(AddSlot(), SlabKind::kTraced));
  const Slab* slab = internal::SlabOf(first);
  const uint32_t carved = slab->carved.load();
  ASSERT_LT(carved, slab->capacity);
  EXPECT_TRUE(IsObject(first, 128 * (ptrdiff_t{carved} - 1)));
  EXPECT_FALSE(IsObject(first, 128 * ptrdiff_t{carved}));
}

TEST_F(SpaceItselfTest, RawBlocksAndSegmentRecordsAreNoObjects) {
  EXPECT_FALSE(IsObject(Allocate(AddSlot(), SlabKind::kRaw)));
  EXPECT_FALSE(IsObject(space_->base()));
  EXPECT_FALSE(IsObject(space_->base(), Header::kBytes));
}

TEST_F(SpaceItselfTest, RunIsAnObjectAtItsHeaderOnly) {
  auto* run = static_cast<char*>(space_->AllocateRun(SlabKind::kTraced, 3 * kSlabBytes, 8));
  EXPECT_TRUE(IsObject(run));
  for (const ptrdiff_t offset : {-8, 8, 128, static_cast<int>(kSlabBytes)}) {
    EXPECT_FALSE(IsObject(run, offset));
  }
}

TEST_F(SpaceItselfTest, HugeRunIsAnObjectAtItsHeaderOnly) {
  auto* run = static_cast<char*>(space_->AllocateRun(SlabKind::kTraced, 2 * kSegmentBytes, 8));
  ASSERT_NE(run, nullptr);
  EXPECT_TRUE(IsObject(run));
  EXPECT_FALSE(IsObject(run, kSlabBytes));
  // The tail's segments have no record: the object's own bytes are where it would be.
  std::memset(run + Header::kBytes, 0xff, 2 * kSegmentBytes);
  EXPECT_FALSE(IsObject(run, kSegmentBytes));
  EXPECT_FALSE(IsObject(run, kSegmentBytes + kSlabBytes));
  EXPECT_FALSE(IsObject(run, kSegmentBytes - kSlabBytes));
}

TEST_F(SpaceItselfTest, ForEachSlabVisitsEverySlabInUseOnce) {
  std::set<const Slab*> taken;
  for (uint64_t i = 0; i < kUsableSlabs + 2; ++i) {
    taken.insert(space_->TakeSlab(SlabKind::kLeaf, kClass));
  }
  taken.insert(internal::SlabOf(space_->AllocateRun(SlabKind::kRaw, 2 * kSlabBytes, 8)));
  taken.insert(internal::SlabOf(space_->AllocateRun(SlabKind::kRaw, kSegmentBytes, 8)));
  std::vector<const Slab*> visited;
  space_->ForEachSlab([&visited](const Slab& slab) { visited.push_back(&slab); });
  EXPECT_EQ(visited.size(), taken.size());
  EXPECT_EQ(std::set<const Slab*>(visited.begin(), visited.end()), taken);
}

TEST_F(SpaceItselfTest, UsedBlocksLeavesOutThePinAndWhatOthersFreed) {
  Slot* owner = AddSlot();
  Slot* other = AddSlot();
  void* a = Allocate(owner);
  void* b = Allocate(owner);
  const Slab& slab = *internal::SlabOf(a);
  EXPECT_EQ(Space::UsedBlocks(slab), 2u);
  Free(other, a);
  EXPECT_EQ(Space::UsedBlocks(slab), 1u);
  Free(owner, b);
  EXPECT_EQ(Space::UsedBlocks(slab), 0u);
  for (uint32_t i = 0; i < kCapacity; ++i) Allocate(owner);
  Allocate(owner);
  EXPECT_EQ(Space::UsedBlocks(slab), uint64_t{kCapacity}) << "full and nobody's";
}

TEST_F(SpaceItselfTest, ResidentBytesFollowUse) {
  auto* run = static_cast<char*>(space_->AllocateRun(SlabKind::kRaw, kSegmentBytes / 2, 8));
  const uint64_t before = space_->ResidentBytes();
  std::memset(run, 1, kSegmentBytes / 2);
  EXPECT_GE(space_->ResidentBytes(), before + kSegmentBytes / 2 - 8192);
  space_->FreeRun(AddSlot(), internal::SlabOf(run));
  EXPECT_LE(space_->ResidentBytes(), before + 8192);
}

TEST_F(SpaceItselfTest, NoteEmptyIsRememberedUntilTaken) {
  EXPECT_FALSE(space_->HasEmpty());
  space_->NoteEmpty();
  EXPECT_TRUE(space_->HasEmpty());
  (void)space_->TakeEmpty();
  EXPECT_FALSE(space_->HasEmpty());
}

}  // namespace
}  // namespace reef::memory::test
