// The lock-free examples under load, while collections run: nothing is lost, nothing comes twice,
// order holds where it is promised, and at the end the heap is empty, cycles included.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "docs/examples/lock_free/hash_map.h"
#include "docs/examples/lock_free/michael_scott_queue.h"
#include "docs/examples/lock_free/ordered_set.h"
#include "docs/examples/lock_free/treiber_stack.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

constexpr int kThreads = 4;

struct Item {
  Item(Lives& lives, uint64_t its_number) : life(lives), number(its_number) {}
  Life life;
  const uint64_t number;
};

class LockFreeLoadTest : public test::QuietHeapTest {
 protected:
  void TearDown() override {
    QuietHeapTest::TearDown();
    EXPECT_EQ(heap_->Stats().live_objects, 0u) << "no node is left either";
  }
  Ref<Item> MakeItem(uint64_t number) { return heap_->Make<Item>(lives_, number); }

  const uint64_t seed_ = test::Seed();
  const uint64_t each_ = test::Sized(150'000, 3'000);
};

TEST_F(LockFreeLoadTest, StackKeepsEveryItemOnce) {
  SCOPED_TRACE(test::SeedNote(seed_));
  const auto stack = heap_->Make<lock_free::TreiberStack<Item>>(*heap_);
  std::vector<std::atomic<int>> popped(kThreads * each_);
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(kThreads, [&](int thread) {
      std::mt19937_64 random(seed_ + static_cast<uint64_t>(thread));
      for (uint64_t i = 0; i < each_; ++i) {
        stack->Push(MakeItem(static_cast<uint64_t>(thread) * each_ + i));
        for (uint64_t pops = random() % 3; pops != 0; --pops) {
          if (const Ref<Item> item = stack->Pop()) ++popped[item->number];
        }
      }
    });
  }
  while (const Ref<Item> item = stack->Pop()) ++popped[item->number];
  for (const auto& times : popped) ASSERT_EQ(times, 1);
}

TEST_F(LockFreeLoadTest, QueueKeepsEveryItemOnceAndEachProducersOrder) {
  const auto queue = heap_->Make<lock_free::MichaelScottQueue<Item>>(*heap_);
  std::vector<std::atomic<int>> taken(kThreads * each_);
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(kThreads, [&](int thread) {
      std::vector<uint64_t> next(kThreads, 0);
      for (uint64_t i = 0; i < each_; ++i) {
        queue->Enqueue(MakeItem(static_cast<uint64_t>(thread) * each_ + i));
        if (i % 8 == 0) continue;
        const Ref<Item> item = queue->Dequeue();
        ASSERT_NE(item, nullptr) << "each thread has put in more than it has taken";
        ++taken[item->number];
        uint64_t& expected = next[item->number / each_];
        ASSERT_GE(item->number % each_, expected);
        expected = item->number % each_ + 1;
      }
    });
  }
  std::vector<uint64_t> next(kThreads, 0);
  while (const Ref<Item> item = queue->Dequeue()) {
    ++taken[item->number];
    uint64_t& expected = next[item->number / each_];
    ASSERT_GE(item->number % each_, expected);
    expected = item->number % each_ + 1;
  }
  for (const auto& times : taken) ASSERT_EQ(times, 1);
}

TEST_F(LockFreeLoadTest, SetCountsWhatWasInsertedAndRemoved) {
  SCOPED_TRACE(test::SeedNote(seed_));
  constexpr int64_t kRange = 64;
  const auto set = heap_->Make<lock_free::OrderedSet<int64_t>>(*heap_);
  std::vector<std::atomic<int>> there(kRange);
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(kThreads, [&](int thread) {
      std::mt19937_64 random(seed_ + static_cast<uint64_t>(thread));
      for (uint64_t i = 0; i < each_; ++i) {
        const auto key = static_cast<int64_t>(random() % kRange);
        std::atomic<int>& count = there[static_cast<size_t>(key)];
        const uint64_t draw = random() % 4;
        if (draw == 0 && set->Insert(key)) ++count;
        if (draw == 1 && set->Remove(key)) --count;
        if (draw > 1) (void)set->Contains(key);
      }
    });
  }
  for (int64_t key = 0; key < kRange; ++key) {
    ASSERT_EQ(there[static_cast<size_t>(key)], set->Contains(key) ? 1 : 0) << key;
  }
}

TEST_F(LockFreeLoadTest, NeighboursInTheSetDoNotDisturbEachOther) {
  // Each thread has keys of its own, between those of the others, and knows what is there.
  SCOPED_TRACE(test::SeedNote(seed_));
  const auto set = heap_->Make<lock_free::OrderedSet<int64_t>>(*heap_);
  const test::ConstantCollector collector(*heap_);
  test::RunThreads(kThreads, [&](int thread) {
    std::mt19937_64 random(seed_ + static_cast<uint64_t>(thread));
    std::vector<bool> mine(16);
    for (uint64_t i = 0; i < each_; ++i) {
      const size_t index = test::Below(random, mine.size());
      const int64_t key = static_cast<int64_t>(index) * kThreads + thread;
      ASSERT_EQ(set->Contains(key), mine[index]);
      if (random() % 2 == 0) {
        ASSERT_EQ(set->Insert(key), !mine[index]);
        mine[index] = true;
      } else {
        ASSERT_EQ(set->Remove(key), mine[index]);
        mine[index] = false;
      }
    }
  });
}

TEST_F(LockFreeLoadTest, MapReturnsEveryValueOnce) {
  SCOPED_TRACE(test::SeedNote(seed_));
  constexpr int64_t kRange = 500;
  const auto map = heap_->Make<lock_free::HashMap<int64_t, Item>>(*heap_);
  std::vector<std::atomic<int>> returned(kThreads * each_);
  std::vector<std::atomic<bool>> stored(kThreads * each_);
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(kThreads, [&](int thread) {
      std::mt19937_64 random(seed_ + static_cast<uint64_t>(thread));
      for (uint64_t i = 0; i < each_; ++i) {
        const auto key = static_cast<int64_t>(random() % kRange);
        Ref<Item> former;
        if (random() % 2 == 0) {
          const uint64_t number = static_cast<uint64_t>(thread) * each_ + i;
          stored[number] = true;
          former = map->Exchange(key, MakeItem(number));
        } else {
          former = map->Remove(key);
        }
        if (former) ++returned[former->number];
        if (const Ref<Item> item = map->Get(key)) {
          ASSERT_TRUE(stored[item->number]);
        }
      }
    });
  }
  for (int64_t key = 0; key < kRange; ++key) {
    if (const Ref<Item> former = map->Remove(key)) ++returned[former->number];
    ASSERT_EQ(map->Get(key), nullptr);
  }
  for (size_t i = 0; i < returned.size(); ++i) ASSERT_EQ(returned[i], stored[i] ? 1 : 0);
}

TEST_F(LockFreeLoadTest, EmptiedMapHasNoBranches) {
  const auto map = heap_->Make<lock_free::HashMap<int64_t, Item>>(*heap_);
  for (int64_t key = 0; key < 5000; ++key) map->Set(key, MakeItem(0));
  for (int64_t key = 0; key < 5000; ++key) ASSERT_NE(map->Remove(key), nullptr);
  (void)heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 1u) << "the map, whose first branch is a part of it";
}

// What is in them knows them: one cycle, in which removed nodes, frozen branches and items that
// have gone from place to place may hang.
struct Board;
struct Knower {
  Knower(Lives& lives, const Ref<Board>& its_board) : life(lives), board(its_board) {}
  void Trace(Visitor& v) const { v.Visit(board, other); }
  Life life;
  Member<Board> board;
  AtomicMember<Knower> other;
};
struct Board {
  explicit Board(Heap& heap) : stack(heap), queue(heap), set(heap), map(heap) {}
  void Trace(Visitor& v) const { v.Visit(stack, queue, set, map); }
  lock_free::TreiberStack<Knower> stack;
  lock_free::MichaelScottQueue<Knower> queue;
  lock_free::OrderedSet<uint64_t> set;
  lock_free::HashMap<uint64_t, Knower> map;
};

TEST_F(LockFreeLoadTest, CyclesThroughTheStructuresAreCollected) {
  SCOPED_TRACE(test::SeedNote(seed_));
  for (int round = 0; round < 3; ++round) {
    Ref<Board> board = heap_->Make<Board>(*heap_);
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(kThreads, [&](int thread) {
      std::mt19937_64 random(seed_ + static_cast<uint64_t>(round * kThreads + thread));
      for (uint64_t i = 0; i < each_ / 4; ++i) {
        const uint64_t key = random() % 100;
        const Ref<Knower> knower = heap_->Make<Knower>(lives_, board);
        board->stack.Push(knower);
        knower->other.Store(board->map.Exchange(key, knower));
        if (const Ref<Knower> popped = random() % 2 == 0 ? board->stack.Pop() : nullptr) {
          popped->other.Store(knower);
          board->queue.Enqueue(popped);
        }
        if (random() % 2 == 0) (void)board->queue.Dequeue();
        (void)(random() % 2 == 0 ? board->set.Insert(key) : board->set.Remove(key));
        if (random() % 3 == 0) (void)board->map.Remove(key);
      }
    });
    board.Reset();
  }
}

}  // namespace
}  // namespace reef
