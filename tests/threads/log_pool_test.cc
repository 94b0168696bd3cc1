// The pool of log chunks: what is taken is empty and nobody else's; and nobody waits for a thread
// that stands still inside it.
#include "lib/threads/log_pool.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

#include "lib/os/chaos.h"
#include "lib/threads/slot_registry.h"
#include "tests/threads/support.h"

namespace reef::threads::test {
namespace {

using internal::LogChunk;

TEST(LogPoolTest, TakenChunkIsEmptyWhateverItHeld) {
  LogChunk* used = TakeChunk();
  ASSERT_NE(used, nullptr);
  used->used.store(7);
  used->taken = 7;
  used->next.store(used);
  PutChunk(used);
  LogChunk* chunk = TakeChunk();
  ASSERT_NE(chunk, nullptr);
  EXPECT_EQ(chunk->used.load(), 0u);
  EXPECT_EQ(chunk->taken, 0u);
  EXPECT_EQ(chunk->next.load(), nullptr);
  PutChunk(chunk);
}

TEST(LogPoolTest, ChunksBeyondThePlacesComeAndGo) {
  for (int round = 0; round < 2; ++round) {
    std::vector<LogChunk*> chunks;
    for (int i = 0; i < kMaxPooledChunks + 50; ++i) {
      chunks.push_back(TakeChunk());
      ASSERT_NE(chunks.back(), nullptr);
      chunks.back()->entries[LogChunk::kEntries - 1] = 0;  // it is there, all of it
    }
    for (LogChunk* chunk : chunks) PutChunk(chunk);
  }
}

TEST(LogPoolTest, ChunkIsInOneHandAtATime) {
  constexpr size_t kThreads = 4;
  constexpr size_t kHeld = 3;
  const uint32_t rounds = 20'000 * static_cast<uint32_t>(kScale);
  std::atomic<bool> mine{true};
  std::array<Actor, kThreads> actors;
  for (uint32_t self = 0; self < kThreads; ++self) {
    actors[self].Start([&, self] {
      std::array<LogChunk*, kHeld> held{};
      for (uint32_t round = 0; round < rounds; ++round) {
        for (LogChunk*& chunk : held) {
          chunk = TakeChunk();
          chunk->taken = self + 1;
        }
        for (LogChunk* chunk : held) {
          if (chunk->taken != self + 1) mine.store(false);
          PutChunk(chunk);
        }
      }
    });
  }
  for (Actor& actor : actors) actor.Join();
  EXPECT_TRUE(mine.load());
}

#if defined(REEF_CHAOS) && REEF_CHAOS

// Where the one thread is held that has asked for it.
std::string_view g_hold_at;
Gate* g_gate = nullptr;
Gate* g_held = nullptr;
thread_local bool t_may_be_held = false;

void HoldHere(const char* name) {
  if (!t_may_be_held || name != g_hold_at) return;
  t_may_be_held = false;
  g_held->Open();
  g_gate->Pass();
}

class HeldInTheLog : public testing::TestWithParam<const char*> {};

TEST_P(HeldInTheLog, OthersLogOn) {
  Region region;
  internal::Header* white = region.NewHeader(/*colour=*/1);
  region.core()->black.store(2);
  const auto log = [&](uint32_t entries) {
    for (uint32_t i = 0; i < entries; ++i) {
      const internal::Bracket bracket(internal::CurrentSlot());
      internal::LogIfWhite(bracket, white);
    }
  };
  Gate gate;
  Gate held;
  g_hold_at = GetParam();
  g_gate = &gate;
  g_held = &held;
  PutChunk(TakeChunk());  // there is one to be seen
  Actor victim;
  Actor other;
  (void)victim.slot();
  Slot* others = other.slot();
  {
    const Armed armed(region.core());
    os::SetChaosHook(&HoldHere);
    victim.Start([&] {
      t_may_be_held = true;
      log(1);
      // Nothing but the refill may have held it; a put is for the collector.
      if (t_may_be_held) PutChunk(TakeChunk());
    });
    held.Pass();
    constexpr uint32_t kEntries = 5 * LogChunk::kEntries;
    other.Do([&] { log(kEntries); });
    Rendezvous();
    EXPECT_EQ(TakeLog(*others, [](Header* /*entry*/, bool /*revival*/) {}), kEntries);
    gate.Open();
    victim.Wait();
    os::SetChaosHook(nullptr);
  }
}

INSTANTIATE_TEST_SUITE_P(Points, HeldInTheLog,
                         testing::Values("log chunk seen, not taken", "log chunk taken, not linked",
                                         "place for a log chunk seen, not filled"));

#endif

}  // namespace
}  // namespace reef::threads::test
