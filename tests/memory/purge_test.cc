// The way back: which slabs count as empty, and when their memory goes to the system.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/space.h"
#include "lib/os/pages.h"
#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::SlabBase;
using internal::SlabOf;

class PurgeTest : public SpaceTest {
 protected:
  // A slab that served blocks and is empty, on the available list.
  Slab* EmptySlab(Slot* slot) {
    void* block = Allocate(slot);
    Slab* slab = SlabOf(block);
    std::memset(SlabBase(slab), 1, kSlabBytes / 2);  // so that it has memory to lose
    internal::LinkOf(block, 0) = nullptr;
    slab->free = nullptr;
    ReleaseSlabs(slot, space_.get());
    Free(slot, block);
    return slab;
  }
  bool HasMemory(const Slab* slab) const {
    return os::ResidentBytes(SlabBase(slab), kSlabBytes) != 0;
  }
};

TEST_F(PurgeTest, NothingIsTakenWithoutAHint) {
  space_->PushAvailable(space_->TakeSlab(SlabKind::kRaw, kClass), /*empty=*/false);
  EXPECT_EQ(space_->TakeEmpty().count, 0u);
  space_->NoteEmpty();
  EXPECT_EQ(space_->TakeEmpty().count, 1u);
}

TEST_F(PurgeTest, OnlyEmptySlabsAreTaken) {
  Slot* slot = AddSlot();
  const std::vector<void*> one = FillSlab(slot);
  const std::vector<void*> two = FillSlab(slot);
  Slot* freer = AddSlot();  // without a cache of its own: what it frees is listed
  for (void* block : one) Free(freer, block);
  Free(freer, two[0]);
  const SlabBatch batch = space_->TakeEmpty();
  EXPECT_EQ(batch.count, 1u);
  EXPECT_EQ(batch.first, SlabOf(one[0]));
  EXPECT_EQ(NextOf(space_->base(), batch.first), nullptr);
  // The partly free one stayed where it was.
  EXPECT_EQ(space_->PopAvailable(SlabKind::kRaw, kClass), SlabOf(two[0]));
  EXPECT_EQ(space_->PopAvailable(SlabKind::kRaw, kClass), nullptr);
}

TEST_F(PurgeTest, TakenSlabsKeepTheirLayoutUntilReturned) {
  Slab* slab = EmptySlab(AddSlot());
  const SlabBatch batch = space_->TakeEmpty();
  ASSERT_EQ(batch.first, slab);
  EXPECT_TRUE(slab->formatted.load());
  EXPECT_NE(space_->TakeSlab(SlabKind::kRaw, kClass), slab);
  space_->ReturnToSupply(batch);
  EXPECT_FALSE(slab->formatted.load());
  EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), slab);
}

TEST_F(PurgeTest, BatchHoldsSlabsAndRuns) {
  Slot* slot = AddSlot();
  std::set<Slab*> expected{EmptySlab(slot)};
  for (const size_t bytes : {size_t{2} * kSlabBytes, kSegmentBytes, size_t{2} << 20}) {
    void* run = space_->AllocateRun(SlabKind::kLeaf, bytes, 8);
    expected.insert(SlabOf(run));
    space_->FreeRun(AddSlot(), SlabOf(run));
  }
  const SlabBatch batch = space_->TakeEmpty();
  std::set<Slab*> found;
  for (Slab* slab = batch.first; slab != nullptr; slab = NextOf(space_->base(), slab)) {
    found.insert(slab);
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(batch.count, expected.size());
}

TEST_F(PurgeTest, MemoryGoesInTheSecondRound) {
  Slab* slab = EmptySlab(AddSlot());
  space_->ReturnToSupply(space_->TakeEmpty());
  EXPECT_TRUE(space_->HasUnpurged());
  space_->Purge(false);
  EXPECT_TRUE(HasMemory(slab)) << "free for one round only";
  EXPECT_TRUE(space_->HasUnpurged());
  EXPECT_EQ(space_->committed_bytes(), kSlabBytes);
  space_->Purge(false);
  EXPECT_FALSE(HasMemory(slab));
  EXPECT_FALSE(space_->HasUnpurged());
  EXPECT_EQ(space_->committed_bytes(), 0u);
}

TEST_F(PurgeTest, SlabInUseAgainKeepsItsMemory) {
  Slab* slab = EmptySlab(AddSlot());
  space_->ReturnToSupply(space_->TakeEmpty());
  space_->Purge(false);
  ASSERT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), slab);
  space_->Purge(false);
  EXPECT_TRUE(HasMemory(slab));
  EXPECT_EQ(space_->committed_bytes(), kSlabBytes);
  EXPECT_FALSE(space_->HasUnpurged());
}

TEST_F(PurgeTest, PurgeOfAllGivesEverythingBackAtOnce) {
  Slab* slab = EmptySlab(AddSlot());
  space_->ReturnToSupply(space_->TakeEmpty());
  space_->Purge(true);
  EXPECT_FALSE(HasMemory(slab));
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_EQ(*SlabBase(slab), 0);
}

TEST_F(PurgeTest, PurgedSlabIsTakenAgain) {
  Slab* slab = EmptySlab(AddSlot());
  space_->ReturnToSupply(space_->TakeEmpty());
  space_->Purge(true);
  EXPECT_EQ(space_->TakeSlab(SlabKind::kTraced, kClass), slab);
  EXPECT_EQ(space_->committed_bytes(), kSlabBytes);
}

// The kernel's flags for the mapping that holds `address`, as in "rd wr mr mw me nr hg".
std::string MappingFlags(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t first = 0;
    uintptr_t last = 0;
    if (std::sscanf(line.c_str(), "%zx-%zx ", &first, &last) == 2) {
      inside = first <= wanted && wanted < last;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.substr(8) + " ";
    }
  }
  return "";
}

TEST_F(PurgeTest, SegmentThatLostMemoryAsksForSmallPages) {
  Slab* slab = nullptr;
  for (uint64_t i = 0; i <= kUsableSlabs; ++i) slab = space_->TakeSlab(SlabKind::kRaw, kClass);
  ASSERT_EQ(internal::SegmentOf(slab)->index, 1u);
  ASSERT_NE(MappingFlags(slab), "") << "/proc/self/smaps cannot be read";
  const auto asks_for_huge_pages = [](const void* address) {
    return MappingFlags(address).find(" hg ") != std::string::npos;
  };
  EXPECT_FALSE(asks_for_huge_pages(space_->base()));
  EXPECT_EQ(asks_for_huge_pages(slab),
            std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled").good());
  slab->next.store(0, std::memory_order_relaxed);
  space_->ReturnToSupply({.first = slab, .count = 1});
  space_->Purge(/*all=*/true);
  EXPECT_FALSE(asks_for_huge_pages(slab));
}

TEST_F(PurgeTest, EmptySegmentsButTheFirstServeHugeRunsAgain) {
  std::vector<void*> runs;
  const uint64_t segments = space_->reserved_bytes() / kSegmentBytes;
  for (uint64_t i = 0; i < segments; ++i) {
    runs.push_back(space_->AllocateRun(SlabKind::kRaw, kUsableSlabs * kSlabBytes, 8));
    ASSERT_NE(runs.back(), nullptr);
  }
  for (void* run : runs) space_->FreeRun(AddSlot(), SlabOf(run));
  space_->ReturnToSupply(space_->TakeEmpty());
  EXPECT_EQ(space_->AllocateRun(SlabKind::kRaw, kSegmentBytes, 8), nullptr);
  space_->Purge(true);
  const size_t most = (segments - 1) * kSegmentBytes - kSlabBytes;
  EXPECT_EQ(space_->AllocateRun(SlabKind::kRaw, most, 8),
            space_->base() + kSegmentBytes + kSlabBytes);
}

TEST_F(PurgeTest, SegmentWithASlabInUseStaysOpen) {
  for (uint64_t i = 0; i < kUsableSlabs; ++i) (void)space_->TakeSlab(SlabKind::kRaw, kClass);
  Slab* in_second = space_->TakeSlab(SlabKind::kTraced, kClass);
  space_->Purge(true);
  EXPECT_TRUE(in_second->formatted.load());
  EXPECT_EQ(internal::SegmentOf(in_second)->core, core_.get());
  EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), in_second + 1);
}

TEST_F(PurgeTest, PeakGoesBackWithinTwoRounds) {
  Slot* slot = AddSlot();
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < 100 * kCapacity; ++i) blocks.push_back(Allocate(slot));
  EXPECT_EQ(space_->committed_bytes(), 100 * kSlabBytes);
  for (void* block : blocks) Free(slot, block);
  ReleaseSlabs(slot, space_.get());
  for (int round = 0; round < 2; ++round) {
    space_->ReturnToSupply(space_->TakeEmpty());
    space_->Purge(false);
  }
  EXPECT_EQ(space_->committed_bytes(), 0u);
  // What is left is the first segment's record.
  EXPECT_LE(space_->ResidentBytes(), kSlabBytes);
}

}  // namespace
}  // namespace reef::memory::test
