// The table of size classes, looked through entry by entry.
#include "reef/internal/size_class.h"

#include <bit>
#include <cstddef>

#include "gtest/gtest.h"

namespace reef::internal {
namespace {

constexpr SlabKind kAllKinds[] = {SlabKind::kRaw, SlabKind::kLeaf, SlabKind::kTraced,
                                  SlabKind::kAlignedLeaf, SlabKind::kAlignedTraced};

size_t HeaderOf(SlabKind kind) { return kind == SlabKind::kRaw ? 0 : Header::kBytes; }

TEST(SizeClassTest, EveryRequestGetsTheSmallestClassThatHoldsIt) {
  for (size_t bytes = 0; bytes <= kMaxBlock; ++bytes) {
    const int size_class = ClassOf(bytes);
    ASSERT_GE(size_class, 0) << bytes;
    ASSERT_LT(size_class, kClasses) << bytes;
    ASSERT_GE(ClassBytes(size_class), bytes);
    if (size_class > 0) {
      ASSERT_LT(ClassBytes(size_class - 1), bytes);
    }
  }
}

TEST(SizeClassTest, RequestsAboveHalfASlabHaveNoClass) {
  EXPECT_EQ(ClassOf(kMaxBlock), kClasses - 1);
  EXPECT_EQ(ClassOf(kMaxBlock + 1), kNoClass);
  EXPECT_EQ(ClassOf(~size_t{0}), kNoClass);
  EXPECT_EQ(ClassFor(SlabKind::kRaw, kMaxBlock, 8), kClasses - 1);
  EXPECT_EQ(ClassFor(SlabKind::kTraced, kMaxBlock, 8), kNoClass) << "the header counts, too";
  EXPECT_EQ(ClassFor(SlabKind::kTraced, kMaxBlock - Header::kBytes, 8), kClasses - 1);
}

TEST(SizeClassTest, NeighboursAreAtMostAnEighthApart) {
  for (int i = 0; i + 1 < kClasses; ++i) {
    const size_t step = ClassBytes(i + 1) - ClassBytes(i);
    EXPECT_TRUE(step == 8 || step * 8 <= ClassBytes(i)) << ClassBytes(i);
  }
}

TEST(SizeClassTest, ClassesAreMultiplesOfEight) {
  for (int i = 0; i < kClasses; ++i) EXPECT_EQ(ClassBytes(i) % 8, 0u);
}

TEST(SizeClassTest, EveryBlockOfEveryClassHasTheClassAlignment) {
  for (const SlabKind kind : kAllKinds) {
    for (int i = 0; i < kClasses; ++i) {
      const size_t alignment = ClassAlignment(kind, i);
      ASSERT_TRUE(std::has_single_bit(alignment));
      const size_t first = ClassFirstOffset(kind, i);
      const size_t blocks = BlocksPerSlab(ClassBytes(i), first);
      ASSERT_GE(blocks, 1u);
      for (size_t block = 0; block < blocks; ++block) {
        const size_t payload = first + block * ClassBytes(i) + HeaderOf(kind);
        ASSERT_EQ(payload % alignment, 0u) << ClassBytes(i) << " block " << block;
        ASSERT_LE(first + (block + 1) * ClassBytes(i), kSlabBytes);
      }
    }
  }
}

TEST(SizeClassTest, AlignmentCostsAtMostOneBlockInThirtyTwo) {
  for (const SlabKind kind : kAllKinds) {
    for (int i = 0; i < kClasses; ++i) {
      const size_t most = BlocksPerSlab(ClassBytes(i), 0);
      // Up to 16 bytes the place of the header alone decides.
      if (ClassAlignment(kind, i) <= 16) continue;
      const size_t blocks = BlocksPerSlab(ClassBytes(i), ClassFirstOffset(kind, i));
      EXPECT_LE((most - blocks) * 32, most) << ClassBytes(i);
    }
  }
}

TEST(SizeClassTest, ObjectsOfSixteenByteMultiplesAreAlignedToSixteen) {
  for (int i = 0; i < kClasses; ++i) {
    const size_t least = ClassBytes(i) % 16 == 0 ? 16 : 8;
    EXPECT_GE(ClassAlignment(SlabKind::kTraced, i), least) << ClassBytes(i);
    EXPECT_EQ(ClassAlignment(SlabKind::kLeaf, i), ClassAlignment(SlabKind::kTraced, i));
  }
}

TEST(SizeClassTest, ClassForIsTheSmallestThatServesSizeAndAlignment) {
  for (const SlabKind kind : kAllKinds) {
    for (int near = 0; near < kClasses; ++near) {
      for (size_t bytes = ClassBytes(near) - 1; bytes <= ClassBytes(near) + 1; ++bytes) {
        for (size_t alignment = 1; alignment <= kSlabBytes; alignment *= 2) {
          const size_t needed = bytes + HeaderOf(kind);
          int expected = kNoClass;
          for (int i = kClasses; i-- > 0;) {
            if (ClassBytes(i) >= needed && ClassAlignment(kind, i) >= alignment) expected = i;
          }
          if (kind != SlabKind::kRaw && expected == 0) expected = 2;
          ASSERT_EQ(ClassFor(kind, bytes, alignment), expected)
              << static_cast<int>(kind) << " " << bytes << " at " << alignment;
        }
      }
    }
  }
}

TEST(SizeClassTest, SmallestObjectBlockHoldsHeaderAndLink) {
  for (const SlabKind kind : {SlabKind::kLeaf, SlabKind::kTraced}) {
    for (size_t bytes = 0; bytes <= 8; ++bytes) {
      EXPECT_EQ(ClassBytes(ClassFor(kind, bytes, 1)), Header::kBytes + sizeof(void*));
    }
  }
}

}  // namespace
}  // namespace reef::internal
