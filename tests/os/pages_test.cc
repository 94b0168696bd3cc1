// Pages: addresses that are aligned and zero, memory that goes and comes, and what is resident.
#include "lib/os/pages.h"

#include <cstdint>
#include <cstring>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(PagesTest, ReservedMemoryIsAlignedZeroAndWritable) {
  for (size_t alignment = kPageBytes; alignment <= 4 * kMiB; alignment *= 4) {
    auto* base = static_cast<char*>(Reserve(kMiB, alignment));
    ASSERT_NE(base, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(base) % alignment, 0u);
    EXPECT_EQ(base[0], 0);
    EXPECT_EQ(base[kMiB - 1], 0);
    std::memset(base, 1, kMiB);
    Unmap(base, kMiB);
  }
}

TEST(PagesTest, ImpossibleReservationIsRefused) {
  EXPECT_EQ(Reserve(size_t{1} << 60, kPageBytes), nullptr);
  EXPECT_EQ(Reserve(~size_t{0} - kPageBytes + 1, 4 * kMiB), nullptr) << "the sum overflows";
}

TEST(PagesTest, DecommittedPagesReadAsZeroAndTheRestStays) {
  auto* base = static_cast<char*>(Reserve(kMiB, kPageBytes));
  std::memset(base, 7, kMiB);
  Decommit(base + kPageBytes, 2 * kPageBytes);
  EXPECT_EQ(base[kPageBytes - 1], 7);
  EXPECT_EQ(base[kPageBytes], 0);
  EXPECT_EQ(base[3 * kPageBytes - 1], 0);
  EXPECT_EQ(base[3 * kPageBytes], 7);
  base[kPageBytes] = 1;
  EXPECT_EQ(base[kPageBytes], 1);
  Unmap(base, kMiB);
}

TEST(PagesTest, ResidentBytesCountsTouchedPages) {
  auto* base = static_cast<char*>(Reserve(8 * kMiB, 4 * kMiB));
  EXPECT_EQ(ResidentBytes(base, 8 * kMiB), 0u);
  // One page in each of the two parts that are asked about separately.
  base[0] = 1;
  base[5 * kMiB] = 1;
  const size_t resident = ResidentBytes(base, 8 * kMiB);
  EXPECT_GE(resident, 2 * kPageBytes);
  EXPECT_EQ(ResidentBytes(base + 5 * kMiB, kPageBytes), kPageBytes);
  Decommit(base, 8 * kMiB);
  EXPECT_EQ(ResidentBytes(base, 8 * kMiB), 0u);
  Unmap(base, 8 * kMiB);
}

TEST(PagesTest, HugePagesAreAHintOnly) {
  auto* base = static_cast<char*>(Reserve(4 * kMiB, 4 * kMiB));
  AdviseHuge(base, 4 * kMiB);
  EXPECT_EQ(base[2 * kMiB], 0);
  Unmap(base, 4 * kMiB);
}

}  // namespace
}  // namespace reef::os
