// Slots and brackets: what a bracket does to its slot, what it reads, and what it logs.
#include "reef/internal/slot.h"

#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/threads/slot_registry.h"
#include "tests/threads/support.h"

namespace reef::threads::test {
namespace {

using internal::BareBracket;
using internal::Bracket;
using internal::kBracketLogEntries;
using internal::kLeafColour;
using internal::LogChunk;

std::vector<Header*> LogOf(Slot& slot) {
  std::vector<Header*> entries;
  (void)TakeLog(slot, [&entries](Header* header, bool /*revival*/) { entries.push_back(header); });
  return entries;
}

TEST(SlotTest, ThreadsShareTheNullSlotUntilTheyAttach) {
  std::thread([] {
    EXPECT_EQ(internal::tls_slot, &internal::g_null_slot);
    Slot* slot = internal::CurrentSlot();
    EXPECT_NE(slot, &internal::g_null_slot);
    EXPECT_EQ(internal::tls_slot, slot);
    EXPECT_EQ(internal::CurrentSlot(), slot);
  }).join();
}

TEST(SlotTest, NullSlotOwnsNothing) {
  const Slot& slot = internal::g_null_slot;
  EXPECT_EQ(slot.index, internal::kNoSlot);
  EXPECT_EQ(internal::OwnerOf(slot.me()), internal::kUnbiased);
  EXPECT_FALSE(slot.IsBiased());
  for (const auto* cache : slot.caches) EXPECT_EQ(cache, &internal::g_empty_cache);
}

TEST(SlotTest, BracketIsOddInsideAndChangedAfterwards) {
  Slot* slot = internal::CurrentSlot();
  const uint64_t before = slot->seq.load();
  EXPECT_EQ(before % 2, 0u);
  {
    const Bracket bracket(slot);
    EXPECT_EQ(slot->seq.load(), before + 1);
    EXPECT_EQ(bracket.slot(), slot);
    EXPECT_FALSE(bracket.armed());
  }
  EXPECT_EQ(slot->seq.load(), before + 2);
}

TEST(SlotTest, FencedBracketCountsTheSame) {
  Slot* slot = internal::CurrentSlot();
  const bool was = slot->fenced;
  slot->fenced = true;
  internal::g_mode.store(Mode::kIdleFenced);
  const uint64_t before = slot->seq.load();
  {
    const Bracket bracket(slot);
    EXPECT_FALSE(bracket.armed());
    EXPECT_EQ(bracket.mode(), Mode::kIdle);
    EXPECT_EQ(slot->seq.load() % 2, 1u);
  }
  const uint64_t after = slot->seq.load();
  EXPECT_EQ(after % 2, 0u);
  EXPECT_GT(after, before);
  slot->fenced = was;
  internal::g_mode.store(IdleMode());
}

TEST(SlotTest, BareBracketActsOnlyWhenIdle) {
  Region region;
  Slot* slot = internal::CurrentSlot();
  const uint64_t before = slot->seq.load();
  {
    const BareBracket bracket(slot);
    EXPECT_EQ(slot->seq.load(), before + 1);
    EXPECT_TRUE(bracket.idle());
  }
  EXPECT_EQ(slot->seq.load(), before + 2);
  for (const Mode mode : {Mode::kLogging, Mode::kMarking, Mode::kIdleFenced}) {
    const Armed armed(region.core(), mode);
    const BareBracket bracket(slot);
    EXPECT_FALSE(bracket.idle());
  }
}

TEST(SlotTest, BracketReadsTheMode) {
  Region region;
  Slot* slot = internal::CurrentSlot();
  for (const Mode mode : {Mode::kLogging, Mode::kMarking}) {
    const Armed armed(region.core(), mode);
    const Bracket bracket(slot);
    EXPECT_EQ(bracket.mode(), mode);
    EXPECT_TRUE(bracket.armed());
  }
  const Bracket bracket(slot);
  EXPECT_EQ(bracket.mode(), Mode::kIdle);
}

TEST(SlotTest, ArmedBracketHasRoomToLog) {
  Region region;
  Slot* slot = internal::CurrentSlot();
  const Armed armed(region.core());
  EXPECT_EQ(slot->log_room, 0u);
  {
    const Bracket bracket(slot);
    EXPECT_EQ(slot->log_room, LogChunk::kEntries);
  }
  slot->log_room = kBracketLogEntries;
  const LogChunk* chunk = slot->log;
  { const Bracket bracket(slot); }
  EXPECT_EQ(slot->log, chunk);
  slot->log_room = kBracketLogEntries - 1;
  {
    const Bracket bracket(slot);
    EXPECT_NE(slot->log, chunk) << "a new chunk before anything is done";
    EXPECT_EQ(slot->log_room, LogChunk::kEntries);
  }
}

TEST(SlotTest, IdleBracketNeedsNoLog) {
  Slot* slot = internal::CurrentSlot();
  { const Bracket bracket(slot); }
  EXPECT_EQ(slot->log, nullptr);
  EXPECT_EQ(slot->log_room, 0u);
}

TEST(SlotTest, OnlyWhiteObjectsOfTheTargetAreLogged) {
  Region region;
  Region other;
  region.core()->black.store(7);
  other.core()->black.store(7);
  Header* white = region.NewHeader(6);
  Header* black = region.NewHeader(7);
  Header* leaf = region.NewHeader(kLeafColour);
  Header* foreign = other.NewHeader(6);
  Header* white_too = region.NewHeader(8);
  Slot* slot = internal::CurrentSlot();
  const Armed armed(region.core());
  {
    const Bracket bracket(slot);
    for (Header* header : {white, black, leaf, foreign, white_too}) LogIfWhite(bracket, header);
    LogIfWhite(bracket, nullptr);
  }
  EXPECT_EQ(LogOf(*slot), (std::vector<Header*>{white, white_too}));
  EXPECT_EQ(slot->log_room, LogChunk::kEntries - 2);
}

TEST(SlotTest, LostLogDropsEntries) {
  Region region;
  Header* white = region.NewHeader(0);
  Slot* slot = internal::CurrentSlot();
  slot->log_lost.store(true);
  {
    const Armed armed(region.core());
    const uint64_t before = slot->seq.load();
    {
      const Bracket bracket(slot);
      EXPECT_TRUE(bracket.armed());
      LogIfWhite(bracket, white);
    }
    EXPECT_EQ(slot->seq.load() % 2, before % 2);
    EXPECT_TRUE(LogOf(*slot).empty());
    EXPECT_TRUE(AnyLogLost());
  }
  EXPECT_FALSE(AnyLogLost());
}

#if REEF_IS_CHECKED
TEST(SlotDeathTest, NestedBracketIsDiagnosed) {
  EXPECT_DEATH(
      {
        Slot* slot = internal::CurrentSlot();
        const Bracket outer(slot);
        const Bracket inner(slot);
      },
      "a bracket was opened inside a bracket");
}
#endif

}  // namespace
}  // namespace reef::threads::test
