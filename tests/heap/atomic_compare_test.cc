// CompareExchange by a peeked pointer, and the weak forms: the same contract for root and edge.

#include <cstdint>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct Item {
  Item(Lives& lives, uint64_t number) : life(lives), value(number) {}
  ~Item() { value = ~uint64_t{0}; }
  Life life;
  uint64_t value;
};
struct Shelf {
  void Trace(Visitor& v) const { v.Visit(item); }
  AtomicMember<Item> item;
};

struct RootCell {
  explicit RootCell(Heap&) {}
  AtomicRef<Item>& cell() { return item; }
  AtomicRef<Item> item;
};
struct EdgeCell {
  explicit EdgeCell(Heap& heap) : shelf(heap.Make<Shelf>()) {}
  AtomicMember<Item>& cell() { return shelf->item; }
  Ref<Shelf> shelf;
};

template <typename Cell>
class AtomicCompareTest : public test::QuietHeapTest {
 protected:
  Ref<Item> MakeItem(uint64_t value) { return heap_->Make<Item>(lives_, value); }
};
using Cells = ::testing::Types<RootCell, EdgeCell>;
TYPED_TEST_SUITE(AtomicCompareTest, Cells);

TYPED_TEST(AtomicCompareTest, PeekedPointerIsComparedWithoutACount) {
  TypeParam holder(*this->heap_);
  const Ref<Item> one = this->MakeItem(1);
  const Ref<Item> two = this->MakeItem(2);
  const ReadScope scope;
  Item* expected = nullptr;
  EXPECT_TRUE(holder.cell().CompareExchange(scope, expected, one));
  EXPECT_EQ(expected, nullptr) << "as it was";
  EXPECT_EQ(RefCount(one), 3) << "this one, the cell's and the argument";
  EXPECT_FALSE(holder.cell().CompareExchange(scope, expected, two));
  EXPECT_EQ(expected, one.get()) << "what was there instead";
  EXPECT_EQ(RefCount(one), 3);
  EXPECT_EQ(RefCount(two), 2);
  EXPECT_TRUE(holder.cell().CompareExchange(scope, expected, two));
  EXPECT_EQ(RefCount(one), 2);
  EXPECT_EQ(RefCount(two), 3);
  expected = two.get();
  EXPECT_TRUE(holder.cell().CompareExchange(scope, expected, nullptr));
  EXPECT_EQ(holder.cell().Peek(scope), nullptr);
  EXPECT_EQ(RefCount(two), 2);
}

TYPED_TEST(AtomicCompareTest, WhatItReplacesStaysWholeInTheScope) {
  TypeParam holder(*this->heap_);
  holder.cell().Store(this->MakeItem(7));
  {
    const ReadScope scope;
    Item* expected = holder.cell().Peek(scope);
    Item* const former = expected;
    EXPECT_TRUE(holder.cell().CompareExchange(scope, expected, this->MakeItem(8)));
    EXPECT_EQ(TryRef(scope, former), nullptr) << "the cell's reference was the last";
    EXPECT_EQ(former->value, 7u);
    EXPECT_EQ(this->lives_.now(), 2);
  }
  EXPECT_TRUE(Eventually([&] { return this->lives_.now() == 1; }));
}

// The address of a dead object is not used again while a scope is open that saw it.
TYPED_TEST(AtomicCompareTest, PeekedPointerMeetsTheSameObjectOrFails) {
  TypeParam holder(*this->heap_);
  holder.cell().Store(this->MakeItem(0));
  const ReadScope scope;
  Item* const seen = holder.cell().Peek(scope);
  std::thread([&] {
    for (uint64_t i = 1; i <= 5000; ++i) holder.cell().Store(this->MakeItem(i));
  }).join();
  Item* expected = seen;
  EXPECT_FALSE(holder.cell().CompareExchange(scope, expected, nullptr));
  EXPECT_EQ(expected->value, 5000u);
}

TYPED_TEST(AtomicCompareTest, WeakFormsDoTheSame) {
  TypeParam holder(*this->heap_);
  const Ref<Item> one = this->MakeItem(1);
  const Ref<Item> two = this->MakeItem(2);
  Ref<Item> expected;
  EXPECT_TRUE(holder.cell().CompareExchangeWeak(expected, one));
  EXPECT_FALSE(holder.cell().CompareExchangeWeak(expected, two));
  EXPECT_EQ(expected, one);
  const ReadScope scope;
  Item* peeked = nullptr;
  EXPECT_FALSE(holder.cell().CompareExchangeWeak(scope, peeked, two));
  EXPECT_EQ(peeked, one.get());
  EXPECT_TRUE(holder.cell().CompareExchangeWeak(scope, peeked, two));
  EXPECT_EQ(holder.cell().Peek(scope), two.get());
}

TYPED_TEST(AtomicCompareTest, PeekedCompareExchangeMakesAnExactCounter) {
  TypeParam holder(*this->heap_);
  holder.cell().Store(this->MakeItem(0));
  const uint64_t each = test::Sized(20'000, 2'000);
  {
    const test::ConstantCollector collector(*this->heap_);
    test::RunThreads(4, [&](int) {
      for (uint64_t i = 0; i < each; ++i) {
        const ReadScope scope;
        Item* seen = holder.cell().Peek(scope);
        while (!holder.cell().CompareExchangeWeak(scope, seen, this->MakeItem(seen->value + 1))) {
        }
      }
    });
  }
  EXPECT_EQ(holder.cell().Load()->value, 4 * each);
  holder.cell().Store(nullptr);
  EXPECT_TRUE(Eventually([&] { return this->lives_.now() == 0; }));
}

}  // namespace
}  // namespace reef
