// Runs: blocks with slabs of their own, their reuse, their memory, and runs over several segments.
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/space.h"
#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::SegmentOf;
using internal::SlabBase;
using internal::SlabOf;
using internal::Stage;

class RunTest : public SpaceTest {
 protected:
  char* Run(SlabKind kind, size_t bytes, size_t alignment = 8) {
    return static_cast<char*>(space_->AllocateRun(kind, bytes, alignment));
  }
  void Return() { space_->ReturnToSupply(space_->TakeEmpty()); }
};

TEST_F(RunTest, RunHasTheSlabsItNeedsAndNoMore) {
  struct Case {
    SlabKind kind;
    size_t bytes;
    uint32_t slabs;
  };
  // Objects begin 48 bytes in, so that their payload is aligned to a cache line.
  for (const Case& c :
       {Case{SlabKind::kRaw, kSlabBytes / 2 + 1, 1}, Case{SlabKind::kRaw, kSlabBytes, 1},
        Case{SlabKind::kRaw, kSlabBytes + 1, 2}, Case{SlabKind::kLeaf, kSlabBytes - 64, 1},
        Case{SlabKind::kLeaf, kSlabBytes - 63, 2},
        Case{SlabKind::kTraced, kUsableSlabs * kSlabBytes - 64, kUsableSlabs}}) {
    const uint64_t before = space_->committed_bytes();
    char* block = Run(c.kind, c.bytes);
    ASSERT_NE(block, nullptr);
    const Slab* slab = SlabOf(block);
    EXPECT_EQ(slab->run_slabs, c.slabs) << c.bytes;
    EXPECT_EQ(slab->block_bytes, c.slabs * kSlabBytes - slab->first);
    EXPECT_EQ(slab->capacity, 1u);
    EXPECT_EQ(slab->used.load(), 1u);
    EXPECT_EQ(slab->carved.load(), 1u);
    EXPECT_EQ(slab->owner.load(), 0u);
    EXPECT_EQ(Space::UsedBlocks(*slab), 1u);
    EXPECT_EQ(space_->committed_bytes(), before + c.slabs * kSlabBytes);
    if (c.kind != SlabKind::kRaw) {
      EXPECT_EQ(reinterpret_cast<Header*>(block)->GetStage(), Stage::kFree);
    }
  }
}

TEST_F(RunTest, PayloadHasTheAlignmentAskedFor) {
  for (const SlabKind kind : {SlabKind::kRaw, SlabKind::kTraced}) {
    for (size_t alignment = 8; alignment <= kSlabBytes; alignment *= 2) {
      char* block = Run(kind, 40'000, alignment);
      ASSERT_NE(block, nullptr);
      const size_t header = kind == SlabKind::kRaw ? 0 : Header::kBytes;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block + header) % alignment, 0u) << alignment;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block + header) % 64, 0u);
      if (header != 0) {
        EXPECT_EQ(SlabOf(block), SlabOf(block + header - 1)) << "one header, one record";
      }
      std::memset(block, 1, header + 40'000);
    }
  }
}

TEST_F(RunTest, FreedRunIsReusedByTheSameLengthAndKindOnly) {
  char* block = Run(SlabKind::kLeaf, 3 * kSlabBytes);
  space_->FreeRun(AddSlot(), SlabOf(block));
  EXPECT_EQ(Space::UsedBlocks(*SlabOf(block)), 0u);
  EXPECT_NE(Run(SlabKind::kTraced, 3 * kSlabBytes), block);
  EXPECT_NE(Run(SlabKind::kLeaf, kSlabBytes), block);
  EXPECT_NE(Run(SlabKind::kLeaf, 3 * kSlabBytes, 4096), block);
  const uint64_t committed = space_->committed_bytes();
  EXPECT_EQ(Run(SlabKind::kLeaf, 3 * kSlabBytes), block);
  EXPECT_EQ(space_->committed_bytes(), committed) << "it was charged all the time";
  EXPECT_EQ(SlabOf(block)->used.load(), 1u);
}

TEST_F(RunTest, SmallFreedRunKeepsItsMemory) {
  char* block = Run(SlabKind::kRaw, 2 * kSlabBytes);
  block[100] = 7;
  space_->FreeRun(AddSlot(), SlabOf(block));
  EXPECT_FALSE(SlabOf(block)->clean);
  EXPECT_EQ(block[100], 7);
  EXPECT_TRUE(space_->HasEmpty());
}

TEST_F(RunTest, LargeFreedRunGivesItsMemoryBackAtOnce) {
  constexpr size_t kBytes = size_t{2} << 20;
  char* block = Run(SlabKind::kTraced, kBytes);
  const uint64_t slabs = SlabOf(block)->run_slabs;
  std::memset(block, 0xff, kBytes);
  EXPECT_EQ(space_->committed_bytes(), slabs * kSlabBytes);
  space_->FreeRun(AddSlot(), SlabOf(block));
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_TRUE(SlabOf(block)->clean);
  EXPECT_EQ(reinterpret_cast<Header*>(block)->GetStage(), Stage::kFree);
  EXPECT_EQ(block[kBytes / 2], 0);
  // Reuse charges it again.
  EXPECT_EQ(Run(SlabKind::kTraced, kBytes), block);
  EXPECT_EQ(space_->committed_bytes(), slabs * kSlabBytes);
  EXPECT_FALSE(SlabOf(block)->clean);
}

TEST_F(RunTest, ReuseOfARunWithoutMemoryRespectsTheLimit) {
  constexpr size_t kBytes = size_t{2} << 20;
  Open({.reserve_bytes = uint64_t{64} << 20, .max_bytes = kBytes + kSlabBytes});
  char* block = Run(SlabKind::kRaw, kBytes);
  space_->FreeRun(AddSlot(), SlabOf(block));
  ASSERT_NE(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr);
  ASSERT_NE(space_->TakeSlab(SlabKind::kRaw, kClass), nullptr);
  EXPECT_EQ(Run(SlabKind::kRaw, kBytes), nullptr);
  EXPECT_EQ(space_->committed_bytes(), 2 * kSlabBytes);
  // Still cached: taken off the list, returned and closed like any other.
  EXPECT_EQ(space_->TakeEmpty().count, 1u);
}

TEST_F(RunTest, CacheOfFreedRunsIsBounded) {
  constexpr size_t kBytes = size_t{1} << 20;
  std::vector<char*> blocks;
  for (int i = 0; i < 20; ++i) blocks.push_back(Run(SlabKind::kRaw, kBytes));
  for (char* block : blocks) space_->FreeRun(AddSlot(), SlabOf(block));
  EXPECT_EQ(space_->committed_bytes(), uint64_t{16} << 20);
  int clean = 0;
  for (char* block : blocks) clean += SlabOf(block)->clean ? 1 : 0;
  EXPECT_EQ(clean, 4);
  // What is reused leaves the cache and makes room in it.
  for (int i = 0; i < 20; ++i) blocks[static_cast<size_t>(i)] = Run(SlabKind::kRaw, kBytes);
  EXPECT_EQ(space_->committed_bytes(), uint64_t{20} << 20);
  for (int i = 0; i < 16; ++i) space_->FreeRun(AddSlot(), SlabOf(blocks[static_cast<size_t>(i)]));
  EXPECT_EQ(space_->committed_bytes(), uint64_t{20} << 20);
}

TEST_F(RunTest, ReturnedRunIsFreeForAnyUse) {
  char* block = Run(SlabKind::kRaw, 3 * kSlabBytes);
  const Slab* slab = SlabOf(block);
  space_->FreeRun(AddSlot(), SlabOf(block));
  Return();
  EXPECT_FALSE(slab->formatted.load());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(space_->TakeSlab(SlabKind::kRaw, kClass), slab + i) << "the memory is still there";
  }
  EXPECT_EQ(space_->committed_bytes(), 3 * kSlabBytes);
}

TEST_F(RunTest, HugeRunSpansSegments) {
  char* block = Run(SlabKind::kTraced, 2 * kSegmentBytes);
  ASSERT_NE(block, nullptr);
  const Slab* slab = SlabOf(block);
  EXPECT_EQ(slab - SegmentOf(slab)->slabs, 1);
  EXPECT_EQ(slab->run_slabs, 2 * kSlabsPerSegment + 1);
  EXPECT_EQ(reinterpret_cast<Header*>(block)->GetStage(), Stage::kFree);
  std::memset(block + Header::kBytes, 1, 2 * kSegmentBytes);
  EXPECT_EQ(SegmentOf(slab)->core, core_.get());
  EXPECT_EQ(space_->committed_bytes(), (2 * kSlabsPerSegment + 1) * kSlabBytes);
  // Nothing else is put into its segments.
  const Slab* other = space_->TakeSlab(SlabKind::kRaw, kClass);
  EXPECT_EQ(SegmentOf(other)->index, SegmentOf(slab)->index + 3);
}

TEST_F(RunTest, HugeRunBoundaries) {
  // 63 slabs fit into one segment, 64 do not; 127 fit into two, 128 do not.
  struct Case {
    uint64_t slabs;
    uint32_t segments;
  };
  for (const Case& c : {Case{63, 1}, Case{64, 2}, Case{127, 2}, Case{128, 3}}) {
    Open({.reserve_bytes = uint64_t{64} << 20});
    char* block = Run(SlabKind::kRaw, c.slabs * kSlabBytes);
    ASSERT_NE(block, nullptr);
    std::memset(block, 1, c.slabs * kSlabBytes);
    const Slab* next = space_->TakeSlab(SlabKind::kRaw, kClass);
    EXPECT_EQ(SegmentOf(next)->index, c.segments) << c.slabs;
  }
}

TEST_F(RunTest, FreedHugeRunReturnsItsAddresses) {
  const size_t most = space_->reserved_bytes() - kSlabBytes;
  for (int round = 0; round < 3; ++round) {
    char* block = Run(SlabKind::kRaw, most);
    ASSERT_NE(block, nullptr) << round;
    EXPECT_EQ(block, space_->base() + kSlabBytes);
    block[most - 1] = 1;
    EXPECT_EQ(Run(SlabKind::kRaw, kSegmentBytes), nullptr);
    space_->FreeRun(AddSlot(), SlabOf(block));
    EXPECT_EQ(space_->committed_bytes(), 0u);
    EXPECT_EQ(block[most - 1], 0) << "decommitted memory stays readable";
    EXPECT_EQ(Run(SlabKind::kRaw, kSegmentBytes), nullptr) << "not before its grace period";
    Return();
    EXPECT_EQ(SegmentOf(space_->base())->core, nullptr);
  }
}

TEST_F(RunTest, RunsThatCannotBeHadLeaveNothingCharged) {
  EXPECT_EQ(Run(SlabKind::kRaw, space_->reserved_bytes()), nullptr);
  EXPECT_EQ(Run(SlabKind::kRaw, ~size_t{0}), nullptr);
  EXPECT_EQ(Run(SlabKind::kTraced, ~size_t{0} - 64), nullptr);
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_NE(Run(SlabKind::kRaw, space_->reserved_bytes() - kSlabBytes), nullptr);
}

TEST_F(RunTest, OverAlignedRunsGoBackToTheSystemAtOnce) {
  char* block = Run(SlabKind::kTraced, 1000, kSlabBytes);
  EXPECT_EQ(SlabOf(block)->run_slabs, 2u);
  space_->FreeRun(AddSlot(), SlabOf(block));
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_EQ(space_->TakeEmpty().count, 1u);
}

}  // namespace
}  // namespace reef::memory::test
