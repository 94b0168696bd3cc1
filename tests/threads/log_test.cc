// The log: every entry is taken once and in order, also while it grows; chunks, and what happens
// without memory for them.
#include "lib/threads/log.h"

#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/threads/slot_registry.h"
#include "tests/threads/support.h"

namespace reef::threads::test {
namespace {

using internal::Bracket;
using internal::LogChunk;

class LogTest : public testing::Test {
 protected:
  LogTest() : slot_(internal::CurrentSlot()) {}

  // Entries need not be headers to be carried: their numbers are easier to check.
  static Header* Entry(uint64_t number) { return reinterpret_cast<Header*>(number * 16); }
  static uint64_t NumberOf(const Header* entry) { return reinterpret_cast<uintptr_t>(entry) / 16; }

  // What the barrier does, less the question whether the object is white.
  static void Append(Slot* slot, uint64_t number) {
    const Bracket bracket(slot);
    if (slot->log_room == 0) return;
    const uint32_t used = slot->log->used.load(std::memory_order_relaxed);
    slot->log->entries[used] = reinterpret_cast<uintptr_t>(Entry(number));
    slot->log->used.store(used + 1, std::memory_order_release);
    --slot->log_room;
  }
  static std::vector<uint64_t> Take(Slot* slot) {
    std::vector<uint64_t> numbers;
    const uint64_t count = TakeLog(
        *slot, [&numbers](Header* entry, bool /*revival*/) { numbers.push_back(NumberOf(entry)); });
    EXPECT_EQ(count, numbers.size());
    return numbers;
  }

  Region region_;
  Slot* slot_;
};

TEST_F(LogTest, EmptyLogGivesNothing) {
  EXPECT_TRUE(Take(slot_).empty());
  const Armed armed(region_.core());
  { const Bracket bracket(slot_); }
  EXPECT_TRUE(Take(slot_).empty());
}

TEST_F(LogTest, EntriesAreTakenOnce) {
  const Armed armed(region_.core());
  for (uint64_t i = 1; i <= 3; ++i) Append(slot_, i);
  EXPECT_EQ(Take(slot_), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_TRUE(Take(slot_).empty());
  Append(slot_, 4);
  EXPECT_EQ(Take(slot_), (std::vector<uint64_t>{4}));
}

TEST_F(LogTest, LongLogsAreChainedAndKeepTheirOrder) {
  const Armed armed(region_.core());
  constexpr uint64_t kCount = 3 * LogChunk::kEntries + 7;
  for (uint64_t i = 1; i <= kCount; ++i) Append(slot_, i);
  const LogChunk* first = slot_->first_log.load();
  EXPECT_NE(first, slot_->log);
  const std::vector<uint64_t> numbers = Take(slot_);
  ASSERT_EQ(numbers.size(), kCount);
  for (uint64_t i = 0; i < kCount; ++i) ASSERT_EQ(numbers[i], i + 1);
  EXPECT_EQ(slot_->first_log.load(), slot_->log) << "what was read has been recycled";
}

TEST_F(LogTest, ChunkWithoutRoomForABracketIsLeftPartlyUsed) {
  const Armed armed(region_.core());
  for (uint64_t i = 1; i <= LogChunk::kEntries - internal::kBracketLogEntries + 1; ++i) {
    Append(slot_, i);
  }
  const LogChunk* first = slot_->log;
  Append(slot_, 9999);
  EXPECT_NE(slot_->log, first);
  EXPECT_LT(first->used.load(), LogChunk::kEntries);
  const std::vector<uint64_t> numbers = Take(slot_);
  EXPECT_EQ(numbers.size(), LogChunk::kEntries - internal::kBracketLogEntries + 2);
  EXPECT_EQ(numbers.back(), 9999u);
}

TEST_F(LogTest, DiscardEmptiesTheLogsOfAllThreads) {
  Actor actor;
  Slot* other = actor.slot();
  {
    const Armed armed(region_.core());
    Append(slot_, 1);
    actor.Do([&] { Append(other, 2); });
  }
  for (Slot* slot : {slot_, other}) {
    EXPECT_EQ(slot->log, nullptr);
    EXPECT_EQ(slot->first_log.load(), nullptr);
    EXPECT_EQ(slot->log_room, 0u);
    EXPECT_TRUE(Take(slot).empty());
  }
}

TEST_F(LogTest, NextCollectionBeginsWithAnEmptyLog) {
  for (uint64_t round = 1; round <= 3; ++round) {
    const Armed armed(region_.core());
    Append(slot_, round);
    EXPECT_EQ(Take(slot_), (std::vector<uint64_t>{round}));
    Append(slot_, round + 10);
  }
}

TEST_F(LogTest, ChunkThatComesTooLateIsNotLinked) {
  // The barrier went off between the bracket that wanted a chunk and the refill.
  EXPECT_TRUE(internal::RefillLog(slot_));
  EXPECT_EQ(slot_->log, nullptr);
  EXPECT_EQ(slot_->first_log.load(), nullptr);
  EXPECT_EQ(slot_->log_room, 0u);
  EXPECT_EQ(slot_->seq.load() % 2, 0u);
}

TEST_F(LogTest, LostLogStaysLostUntilDiscarded) {
  EXPECT_FALSE(AnyLogLost());
  {
    const Armed armed(region_.core());
    slot_->log_lost.store(true);
    EXPECT_TRUE(AnyLogLost());
    EXPECT_FALSE(internal::RefillLog(slot_));
    Append(slot_, 1);
    EXPECT_TRUE(Take(slot_).empty());
  }
  EXPECT_FALSE(AnyLogLost());
  const Armed armed(region_.core());
  Append(slot_, 2);
  EXPECT_EQ(Take(slot_), (std::vector<uint64_t>{2}));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(LogTest, LogIsLostWhenTheSystemHasNoMemory) {
  const Armed armed(region_.core());
  Append(slot_, 1);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  // The pool's chunks go first.
  int refills = 0;
  while (refills < 1000 && internal::RefillLog(slot_)) ++refills;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_LT(refills, 1000);
  EXPECT_TRUE(slot_->log_lost.load());
  EXPECT_TRUE(AnyLogLost());
  EXPECT_EQ(Take(slot_), (std::vector<uint64_t>{1})) << "what was logged is still there";
}
#endif

// Two threads log, a third one reads behind them, with a rendezvous before each look.
TEST_F(LogTest, EveryEntryIsTakenOnceWhileTheLogGrows) {
  constexpr size_t kThreads = 2;
  const uint64_t count = 5 * LogChunk::kEntries * kScale;
  const Armed armed(region_.core());
  Actor actors[kThreads];
  Slot* slots[kThreads];
  for (size_t i = 0; i < kThreads; ++i) slots[i] = actors[i].slot();
  std::atomic<size_t> running{kThreads};
  for (size_t i = 0; i < kThreads; ++i) {
    actors[i].Start([&, i] {
      for (uint64_t number = 1; number <= count; ++number) Append(slots[i], number);
      --running;
    });
  }
  uint64_t taken[kThreads] = {};
  bool in_order = true;
  for (bool last = false; !last;) {
    last = running.load() == 0;
    Rendezvous();
    for (size_t i = 0; i < kThreads; ++i) {
      (void)TakeLog(*slots[i], [&](Header* entry, bool /*revival*/) {
        in_order = in_order && NumberOf(entry) == ++taken[i];
      });
    }
  }
  EXPECT_TRUE(in_order);
  for (const uint64_t number : taken) EXPECT_EQ(number, count);
}

}  // namespace
}  // namespace reef::threads::test
