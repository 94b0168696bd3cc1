// The lock-free examples where a value is null, and where memory has run out.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "docs/examples/lock_free/hash_map.h"
#include "docs/examples/lock_free/michael_scott_queue.h"
#include "docs/examples/lock_free/treiber_stack.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Item {
  Item(Lives& lives, int64_t its_number) : life(lives), number(its_number) {}
  Life life;
  const int64_t number;
};

class LockFreeLimitTest : public test::QuietHeapTest {
 protected:
  void TearDown() override {
    QuietHeapTest::TearDown();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
  }
  Ref<Item> MakeItem(int64_t number) { return heap_->Make<Item>(lives_, number); }
};

TEST_F(LockFreeLimitTest, NullIsNotPushed) {
  const auto stack = heap_->Make<lock_free::TreiberStack<Item>>(*heap_);
  stack->Push(MakeItem(1));
  stack->Push(nullptr);
  const Ref<Item> top = stack->Pop();
  ASSERT_TRUE(top) << "as if the stack were empty";
  EXPECT_EQ(top->number, 1);
  EXPECT_FALSE(stack->Pop());
}

TEST_F(LockFreeLimitTest, NullIsNotEnqueued) {
  const auto queue = heap_->Make<lock_free::MichaelScottQueue<Item>>(*heap_);
  queue->Enqueue(nullptr);
  queue->Enqueue(MakeItem(1));
  const Ref<Item> first = queue->Dequeue();
  ASSERT_TRUE(first) << "as if the queue were empty";
  EXPECT_EQ(first->number, 1);
  EXPECT_FALSE(queue->Dequeue());
}

TEST_F(LockFreeLimitTest, NullRemovesFromTheMap) {
  const auto map = heap_->Make<lock_free::HashMap<int64_t, Item>>(*heap_);
  map->Set(1, MakeItem(1));
  EXPECT_EQ(map->Exchange(1, nullptr)->number, 1);
  EXPECT_FALSE(map->Exchange(1, nullptr));
  EXPECT_FALSE(map->Get(1));
}

template <size_t kBytes>
struct Ballast {
  void Trace(Visitor& /*visitor*/) const {}
  std::array<char, kBytes> bytes;
};

// Objects of one size until no more can be had.
template <size_t kBytes>
void FillUp(Heap& heap, std::vector<AnyRef>* ballast) {
  for (;;) {
    absl::StatusOr<Ref<Ballast<kBytes>>> made = heap.TryMake<Ballast<kBytes>>();
    if (!made.ok()) return;
    ballast->emplace_back(*std::move(made));
  }
}
template <size_t... kUnits>
void FillEverySize(Heap& heap, std::vector<AnyRef>* ballast,
                   std::index_sequence<kUnits...> /*units*/) {
  (FillUp<8 * (kUnits + 1)>(heap, ballast), ...);
}

TEST_F(LockFreeLimitTest, MapGivesBackWhatItRemovesWithoutMemory) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{8} << 20;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  constexpr int64_t kKeys = 300;
  const auto map = heap->Make<lock_free::HashMap<int64_t, Item>>(*heap);
  const Ref<Item> one_more = heap->Make<Item>(lives_, kKeys);
  for (int64_t key = 0; key < kKeys; ++key) map->Set(key, heap->Make<Item>(lives_, key));
  std::vector<AnyRef> ballast;
  FillEverySize(*heap, &ballast, std::make_index_sequence<40>());
  EXPECT_THROW((void)map->Exchange(kKeys, one_more), OutOfMemory);
  EXPECT_FALSE(map->Get(kKeys));
  EXPECT_THROW((void)map->Exchange(1, one_more), OutOfMemory);
  EXPECT_EQ(map->Get(1)->number, 1);
  for (int64_t key = 0; key < kKeys; ++key) {
    Ref<Item> former;
    ASSERT_NO_THROW(former = map->Remove(key)) << "the value is gone, and nobody has it";
    ASSERT_TRUE(former);
    ASSERT_EQ(former->number, key);
  }
  (void)heap->Collect();
  EXPECT_EQ(lives_.now(), 1);
  EXPECT_EQ(heap->Stats().live_objects, ballast.size() + 2) << "its branches went with the values";
}

}  // namespace
}  // namespace reef
