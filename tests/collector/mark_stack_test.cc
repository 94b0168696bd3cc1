// The mark stack: growth, order, chunks that change hands, and the end of marking.
#include "lib/collector/mark_stack.h"

#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace reef::collector {
namespace {

Header* Entry(uint64_t number) { return reinterpret_cast<Header*>(number * 16); }

std::vector<Header*> PopAll(MarkStack& stack) {
  std::vector<Header*> entries;
  Header* batch[32];
  while (const int count = stack.Pop(batch, 32))
    entries.insert(entries.end(), batch, batch + count);
  return entries;
}

TEST(MarkStackTest, NewStackIsEmpty) {
  MarkStack stack;
  Header* entry = nullptr;
  EXPECT_TRUE(stack.Empty());
  EXPECT_EQ(stack.Pop(&entry, 1), 0);
}

TEST(MarkStackTest, EveryEntryComesBackOnce) {
  MarkStack stack;
  constexpr uint64_t kCount = 5 * MarkChunk::kEntries + 3;
  std::set<Header*> expected;
  for (uint64_t i = 1; i <= kCount; ++i) {
    stack.Push(Entry(i));
    expected.insert(Entry(i));
  }
  EXPECT_FALSE(stack.Empty());
  const std::vector<Header*> popped = PopAll(stack);
  EXPECT_EQ(popped.size(), kCount);
  EXPECT_EQ(std::set<Header*>(popped.begin(), popped.end()), expected);
  EXPECT_TRUE(stack.Empty());
  EXPECT_FALSE(stack.Failed());
}

TEST(MarkStackTest, BordersOfChunksAreCrossedBothWays) {
  MarkStack stack;
  Header* entry = nullptr;
  for (uint64_t i = 1; i <= MarkChunk::kEntries; ++i) stack.Push(Entry(i));
  for (int round = 0; round < 3; ++round) {
    stack.Push(Entry(7777));
    ASSERT_EQ(stack.Pop(&entry, 1), 1);
    EXPECT_EQ(entry, Entry(7777));
    ASSERT_EQ(stack.Pop(&entry, 1), 1);
    EXPECT_EQ(entry, Entry(MarkChunk::kEntries));
    stack.Push(entry);
  }
}

TEST(MarkStackTest, SharedChunkGoesToAnotherStack) {
  MarkPool pool;
  MarkStack giver;
  MarkStack taker;
  giver.ShareWith(pool);
  EXPECT_EQ(pool.TryTake(), nullptr) << "nothing to give";
  constexpr uint64_t kCount = 3 * MarkChunk::kEntries;
  for (uint64_t i = 1; i <= kCount; ++i) giver.Push(Entry(i));
  giver.ShareWith(pool);
  MarkChunk* chunk = pool.TryTake();
  ASSERT_NE(chunk, nullptr);
  taker.Adopt(chunk);
  std::vector<Header*> all = PopAll(taker);
  EXPECT_EQ(all.size(), MarkChunk::kEntries);
  const std::vector<Header*> rest = PopAll(giver);
  all.insert(all.end(), rest.begin(), rest.end());
  EXPECT_EQ(std::set<Header*>(all.begin(), all.end()).size(), kCount);
  EXPECT_EQ(all.size(), kCount);
}

TEST(MarkStackTest, MarkingEndsWhenNobodyHasAnythingLeft) {
  MarkPool pool;
  pool.Join();
  EXPECT_EQ(pool.TakeOrFinish(), nullptr);
  EXPECT_FALSE(pool.Hungry());
}

// Each marker has some work of its own and shares it; all of it is done, once, and all of them end.
TEST(MarkStackTest, MarkersShareAllTheirWork) {
  constexpr int kMarkers = 3;
  constexpr uint64_t kEach = 10 * MarkChunk::kEntries;
  MarkPool pool;
  std::atomic<uint64_t> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kMarkers; ++i) pool.Join();
  for (int i = 0; i < kMarkers; ++i) {
    threads.emplace_back([&, i] {
      MarkStack stack;
      // The work is uneven: the last one has none to begin with.
      for (uint64_t k = 0; k < kEach * static_cast<uint64_t>(kMarkers - 1 - i); ++k) {
        stack.Push(Entry(k + 1));
      }
      for (;;) {
        Header* batch[32];
        while (const int count = stack.Pop(batch, 32)) {
          done.fetch_add(static_cast<uint64_t>(count));
          if (pool.Hungry()) stack.ShareWith(pool);
        }
        MarkChunk* chunk = pool.TakeOrFinish();
        if (chunk == nullptr) return;
        stack.Adopt(chunk);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done.load(), kEach * 3);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(MarkStackTest, StackWithoutMemorySaysThatItHasFailed) {
  MarkStack stack;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  for (uint64_t i = 1; i <= MarkChunk::kEntries; ++i) stack.Push(Entry(i));
  const bool early = stack.Failed();
  stack.Push(Entry(9));
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_FALSE(early);
  EXPECT_TRUE(stack.Failed());
}
#endif

}  // namespace
}  // namespace reef::collector
