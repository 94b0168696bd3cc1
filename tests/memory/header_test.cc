// The layout of the header: every field where the others are not.
#include "reef/internal/header.h"

#include <atomic>
#include <cstdint>

#include "gtest/gtest.h"

namespace reef::internal {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// A header by itself, as memory from the system would hold it.
struct Memory {
  alignas(16) unsigned char bytes[32] = {};
  Header* header() { return reinterpret_cast<Header*>(bytes); }
};

uint64_t Word0(uint32_t local, uint16_t type, uint8_t colour, Stage stage) {
  return uint64_t{local} | (uint64_t{type} << kTypeShift) | (uint64_t{colour} << kColourShift) |
         (static_cast<uint64_t>(stage) << kStageShift);
}

TEST(HeaderTest, ZeroMemoryReadsAsFree) {
  Memory memory;
  EXPECT_EQ(memory.header()->GetStage(), Stage::kFree);
  EXPECT_EQ(OwnerOf(memory.header()->Local(kRelaxed)), kNobody);
}

TEST(HeaderTest, BearSetsEveryField) {
  Memory memory;
  Header* header = memory.header();
  header->Bear(Word0(0xabc00000u | 3 * kLocalHeap | 5, 0x1234, 0x56, Stage::kLive),
               kSharedInit + 7);
  EXPECT_EQ(OwnerOf(header->Local(kRelaxed)), 0xabcu);
  EXPECT_EQ(LocalHeapOf(header->Local(kRelaxed)), 3u);
  EXPECT_EQ(LocalExtOf(header->Local(kRelaxed)), 5u);
  EXPECT_EQ(header->Type(), 0x1234);
  EXPECT_EQ(header->Colour(), 0x56);
  EXPECT_EQ(header->GetStage(), Stage::kLive);
  EXPECT_EQ(header->Shared(kRelaxed), kSharedInit + 7);
}

TEST(HeaderTest, ChangingOneFieldLeavesTheOthers) {
  Memory memory;
  Header* header = memory.header();
  header->Bear(Word0(0x11111111u, 0x2222, 0x33, Stage::kBuilding), 0x4444);
  header->SetLocal(~uint32_t{0});
  EXPECT_EQ(header->Type(), 0x2222);
  EXPECT_EQ(header->Colour(), 0x33);
  EXPECT_EQ(header->GetStage(), Stage::kBuilding);
  header->SetColour(0xff);
  EXPECT_EQ(header->Local(kRelaxed), ~uint32_t{0});
  EXPECT_EQ(header->Type(), 0x2222);
  EXPECT_EQ(header->GetStage(), Stage::kBuilding);
  header->SetStage(Stage::kDestroying);
  EXPECT_EQ(header->Colour(), 0xff);
  EXPECT_EQ(header->Type(), 0x2222);
  header->ExchangeStage(Stage::kDying);
  EXPECT_EQ(header->GetStageSequential(), Stage::kDying);
  EXPECT_EQ(header->Colour(), 0xff);
  EXPECT_EQ(header->Shared(kRelaxed), 0x4444u);
}

TEST(HeaderTest, PayloadFollowsTheHeader) {
  Memory memory;
  EXPECT_EQ(memory.header()->Payload(), memory.bytes + 16);
  EXPECT_EQ(Header::Of(memory.header()->Payload()), memory.header());
}

TEST(HeaderTest, SharedFieldsAndFlagsDoNotOverlap) {
  EXPECT_EQ(kSharedExtMask & kSharedHeapMask, 0u);
  EXPECT_EQ((kSharedExtMask | kSharedHeapMask) & kFlags, 0u);
  EXPECT_EQ(kSharedExtMask | kSharedHeapMask | kFlags, ~uint64_t{0});
  EXPECT_EQ(kMerged | kQueued | kDead | kWeak | kPublished | kFinalizable | kImmortal | kSticky,
            kFlags);
}

TEST(HeaderTest, InitialSharedWordCountsNothing) {
  EXPECT_EQ(SharedExt(kSharedInit), 0);
  EXPECT_EQ(SharedHeap(kSharedInit), 0);
  EXPECT_EQ(SharedSum(kSharedInit | kFlags), 0);
}

TEST(HeaderTest, SharedFieldsCountBelowZero) {
  const uint64_t word = kSharedInit - 3 * kSharedExt - 5 * kSharedHeap;
  EXPECT_EQ(SharedExt(word), -3);
  EXPECT_EQ(SharedHeap(word), -5);
  EXPECT_EQ(SharedSum(word), -8);
  const uint64_t mixed = kSharedInit + 9 * kSharedExt - kSharedHeap;
  EXPECT_EQ(SharedExt(mixed), 9);
  EXPECT_EQ(SharedHeap(mixed), -1);
}

TEST(HeaderTest, FullBeginsWithinTheStatedDistanceOfTheEnd) {
  const uint64_t last_ext = kSharedExtMask - (uint64_t{1} << 16);
  EXPECT_FALSE(ExtIsFull(last_ext));
  EXPECT_TRUE(ExtIsFull(last_ext + 1));
  EXPECT_TRUE(ExtIsFull(kSharedExtMask));
  const uint64_t last_heap = kSharedHeapMask - (uint64_t{1} << 18) * kSharedHeap;
  EXPECT_FALSE(HeapIsFull(last_heap));
  EXPECT_TRUE(HeapIsFull(last_heap + kSharedHeap));
  EXPECT_TRUE(HeapIsFull(kSharedHeapMask));
  EXPECT_FALSE(ExtIsFull(kSharedInit) || HeapIsFull(kSharedInit));
}

TEST(HeaderTest, SpillTakesHalfOfAField) {
  EXPECT_EQ(LocalExtOf(kLocalExtSpill), 512u);
  EXPECT_EQ(LocalHeapOf(kLocalHeapSpill), 512u);
  EXPECT_EQ(kSpillCount, 256);
}

TEST(HeaderTest, LinkKeepsTheFlags) {
  Memory memory;
  Memory other;
  Header* header = memory.header();
  header->SetShared(kSharedInit | kDead | kPublished);
  header->SetLink(other.header());
  EXPECT_EQ(header->Link(), other.header());
  EXPECT_EQ(header->Shared(kRelaxed) & kFlags, kDead | kPublished);
  header->SetLink(nullptr);
  EXPECT_EQ(header->Link(), nullptr);
  EXPECT_EQ(header->Shared(kRelaxed), kDead | kPublished);
}

TEST(HeaderTest, FailedExchangeReportsWhatItFound) {
  Memory memory;
  Header* header = memory.header();
  header->SetLocal(7);
  uint32_t local = 6;
  EXPECT_FALSE(header->CompareExchangeLocal(&local, 8));
  EXPECT_EQ(local, 7u);
  EXPECT_TRUE(header->CompareExchangeLocal(&local, 8));
  EXPECT_EQ(header->Local(kRelaxed), 8u);
  header->SetShared(70);
  uint64_t shared = 60;
  EXPECT_FALSE(header->CompareExchangeShared(&shared, 80));
  EXPECT_EQ(shared, 70u);
  EXPECT_TRUE(header->CompareExchangeShared(&shared, 80));
  EXPECT_EQ(header->Shared(kRelaxed), 80u);
}

TEST(HeaderTest, SetFlagsReturnsTheFormerWord) {
  Memory memory;
  Header* header = memory.header();
  header->SetShared(kSharedInit);
  EXPECT_EQ(header->SetFlags(kSticky), kSharedInit);
  EXPECT_EQ(header->SetFlags(kDead), kSharedInit | kSticky);
  EXPECT_EQ(header->Shared(kRelaxed), kSharedInit | kSticky | kDead);
}

}  // namespace
}  // namespace reef::internal
