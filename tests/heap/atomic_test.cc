// AtomicRef and AtomicMember: each operation, and what a ReadScope protects.

#include "reef/atomic.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct Item {
  Item(Lives& lives, int number) : life(lives), value(number) {}
  ~Item() { value = -1; }
  Life life;
  int value;
};
struct SpecialItem : Item {
  using Item::Item;
};
struct Shelf {
  Shelf() = default;
  explicit Shelf(Ref<Item> initial) : item(std::move(initial)) {}
  void Trace(Visitor& v) const { v.Visit(item); }
  AtomicMember<Item> item;
};

static_assert(sizeof(AtomicRef<Item>) == sizeof(void*));
static_assert(sizeof(AtomicMember<Item>) == sizeof(void*));
static_assert(!std::is_copy_constructible_v<AtomicRef<Item>>);
static_assert(!std::is_move_constructible_v<AtomicMember<Item>>);

// Can be a global: no code runs before main.
constinit AtomicRef<Item> g_current;

// The same contract for the root and for the edge.
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
class AtomicTest : public test::QuietHeapTest {
 protected:
  Ref<Item> MakeItem(int value) { return heap_->Make<Item>(lives_, value); }
  // A published object's destructor waits for a grace period.
  bool AllGone() {
    return Eventually([&] { return lives_.now() == 0; });
  }
};
using Cells = ::testing::Types<RootCell, EdgeCell>;
TYPED_TEST_SUITE(AtomicTest, Cells);

TYPED_TEST(AtomicTest, StartsEmpty) {
  TypeParam holder(*this->heap_);
  EXPECT_EQ(holder.cell().Load(), nullptr);
  EXPECT_EQ(holder.cell().Exchange(nullptr), nullptr);
  const ReadScope scope;
  EXPECT_EQ(holder.cell().Peek(scope), nullptr);
}

TYPED_TEST(AtomicTest, LoadCountsAndTheCellHoldsOne) {
  TypeParam holder(*this->heap_);
  const Ref<Item> item = this->MakeItem(1);
  holder.cell().Store(item);
  EXPECT_EQ(RefCount(item), 3);
  const Ref<Item> loaded = holder.cell().Load();
  EXPECT_EQ(loaded, item);
  EXPECT_EQ(RefCount(item), 4);
  holder.cell().Store(nullptr);
  EXPECT_EQ(RefCount(item), 3);
}

TYPED_TEST(AtomicTest, ExchangeReturnsTheFormerTarget) {
  TypeParam holder(*this->heap_);
  const Ref<Item> one = this->MakeItem(1);
  const Ref<Item> two = this->MakeItem(2);
  EXPECT_EQ(holder.cell().Exchange(one), nullptr);
  EXPECT_EQ(holder.cell().Exchange(two), one);
  EXPECT_EQ(RefCount(one), 2);
  EXPECT_EQ(RefCount(two), 3);
  EXPECT_EQ(holder.cell().Exchange(two), two);
  EXPECT_EQ(RefCount(two), 3);
}

TYPED_TEST(AtomicTest, CompareExchangeStoresOnlyOverTheExpected) {
  TypeParam holder(*this->heap_);
  const Ref<Item> one = this->MakeItem(1);
  const Ref<Item> two = this->MakeItem(2);
  Ref<Item> expected;
  EXPECT_TRUE(holder.cell().CompareExchange(expected, one));
  EXPECT_EQ(expected, nullptr);
  EXPECT_EQ(RefCount(one), 3);
  EXPECT_FALSE(holder.cell().CompareExchange(expected, two));
  EXPECT_EQ(expected, one);
  EXPECT_EQ(RefCount(one), 4);
  EXPECT_EQ(RefCount(two), 2);
  EXPECT_TRUE(holder.cell().CompareExchange(expected, two));
  EXPECT_EQ(expected, one);
  EXPECT_EQ(RefCount(one), 3);
  EXPECT_EQ(RefCount(two), 3);
  EXPECT_EQ(holder.cell().Load(), two);
  expected = two;
  EXPECT_TRUE(holder.cell().CompareExchange(expected, nullptr));
  EXPECT_EQ(RefCount(two), 3);
  EXPECT_EQ(holder.cell().Load(), nullptr);
}

TYPED_TEST(AtomicTest, DerivedTargetsConvert) {
  TypeParam holder(*this->heap_);
  holder.cell().Store(this->heap_->template Make<SpecialItem>(this->lives_, 5));
  EXPECT_EQ(holder.cell().Load()->value, 5);
}

TYPED_TEST(AtomicTest, PublishedObjectDiesAfterAGracePeriod) {
  TypeParam holder(*this->heap_);
  for (int i = 0; i < 1000; ++i) holder.cell().Store(this->MakeItem(i));
  holder.cell().Store(nullptr);
  EXPECT_TRUE(this->AllGone()) << this->lives_.now();
}

TYPED_TEST(AtomicTest, DestroyedCellDropsItsTarget) {
  {
    TypeParam holder(*this->heap_);
    holder.cell().Store(this->MakeItem(1));
  }
  EXPECT_TRUE(this->AllGone());
}

TYPED_TEST(AtomicTest, PeekedObjectLivesUntilItsScopeEnds) {
  TypeParam holder(*this->heap_);
  for (int round = 0; round < 5; ++round) {
    holder.cell().Store(this->MakeItem(round));
    {
      const ReadScope outer;
      const Item* item = nullptr;
      {
        const ReadScope inner;
        item = holder.cell().Peek(outer);
      }
      // Another thread lets go of it, and the engine has every occasion to destroy it.
      std::thread([&] { holder.cell().Store(nullptr); }).join();
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
      while (std::chrono::steady_clock::now() < end) {
        ASSERT_EQ(item->value, round);
        ASSERT_EQ(this->lives_.now(), 1);
      }
    }
    ASSERT_TRUE(this->AllGone());
  }
}

TYPED_TEST(AtomicTest, OwnScopeProtectsFromOwnStores) {
  TypeParam holder(*this->heap_);
  std::vector<const Item*> seen;
  {
    const ReadScope scope;
    for (int i = 0; i < 500; ++i) {
      holder.cell().Store(this->MakeItem(i));
      seen.push_back(holder.cell().Peek(scope));
    }
    holder.cell().Store(nullptr);
    for (int i = 0; i < 500; ++i) ASSERT_EQ(seen[static_cast<size_t>(i)]->value, i);
    EXPECT_EQ(this->lives_.ended(), 0);
  }
  EXPECT_TRUE(this->AllGone());
}

TYPED_TEST(AtomicTest, RefOfAPeekedObjectOutlivesTheScope) {
  TypeParam holder(*this->heap_);
  holder.cell().Store(this->MakeItem(3));
  Ref<Item> kept;
  {
    const ReadScope scope;
    kept = TryRef(scope, holder.cell().Peek(scope));
  }
  holder.cell().Store(nullptr);
  (void)this->heap_->Collect();
  EXPECT_EQ(this->lives_.now(), 1);
  EXPECT_EQ(kept->value, 3);
  EXPECT_EQ(RefCount(kept), 2);
}

TYPED_TEST(AtomicTest, SleepingReaderDelaysPublishedObjectsAndNothingElse) {
  TypeParam holder(*this->heap_);
  holder.cell().Store(this->MakeItem(1));
  std::latch opened(1);
  std::latch release(1);
  std::thread reader([&] {
    const ReadScope scope;
    const Item* item = holder.cell().Peek(scope);
    opened.count_down();
    release.wait();
    EXPECT_EQ(item->value, 1);
  });
  opened.wait();
  holder.cell().Store(nullptr);
  Lives others;
  for (int i = 0; i < 1000; ++i) {
    Ref<Item> plain = this->heap_->template Make<Item>(others, i);
    plain.Reset();
    ASSERT_EQ(others.now(), 0);
  }
  EXPECT_EQ(this->lives_.now(), 1);
  release.count_down();
  reader.join();
  EXPECT_TRUE(this->AllGone());
}

TYPED_TEST(AtomicTest, CollectFinishesGracePeriods) {
  TypeParam holder(*this->heap_);
  for (int i = 0; i < 100; ++i) holder.cell().Store(this->MakeItem(i));
  holder.cell().Store(nullptr);
  (void)this->heap_->Collect();
  EXPECT_EQ(this->lives_.now(), 0);
}

using AtomicExtraTest = test::QuietHeapTest;

TEST_F(AtomicExtraTest, ConstructorsPublishTheirArgument) {
  AtomicRef<Item> root(heap_->Make<Item>(lives_, 1));
  EXPECT_EQ(root.Load()->value, 1);
  const Ref<Shelf> shelf = heap_->Make<Shelf>(heap_->Make<Item>(lives_, 2));
  EXPECT_EQ(shelf->item.Load()->value, 2);
}

// A cell's first target is published like every later one: it outlives the cell for those who may
// have peeked at it.
TEST_F(AtomicExtraTest, WhatACellIsBornWithDiesAfterAGracePeriod) {
  const ReadScope scope;
  const Item* root_item = nullptr;
  const Item* shelf_item = nullptr;
  {
    AtomicRef<Item> root(heap_->Make<Item>(lives_, 1));
    root_item = root.Peek(scope);
    Ref<Shelf> shelf = heap_->Make<Shelf>(heap_->Make<Item>(lives_, 2));
    shelf_item = shelf->item.Peek(scope);
  }
  EXPECT_EQ(root_item->value, 1);
  EXPECT_EQ(shelf_item->value, 2);
  EXPECT_EQ(lives_.now(), 2);
}

TEST_F(AtomicExtraTest, GlobalsMayBeAtomic) {
  static Lives lives;
  g_current.Store(Make<Item>(lives, 9));
  EXPECT_EQ(g_current.Load()->value, 9);
  g_current.Store(nullptr);
  EXPECT_TRUE(Eventually([&] { return lives.now() == 0; }));
}

TEST_F(AtomicExtraTest, ConstTargetsArePublishedToo) {
  AtomicRef<const Item> cell;
  cell.Store(heap_->Make<Item>(lives_, 4));
  Ref<const Item> expected = cell.Load();
  EXPECT_EQ(expected->value, 4);
  EXPECT_TRUE(cell.CompareExchange(expected, nullptr));
}

TEST_F(AtomicExtraTest, AtomicRefIsARoot) {
  struct Ring {
    explicit Ring(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(next); }
    Life life;
    Member<Ring> next;
  };
  AtomicRef<Ring> root;
  {
    const Ref<Ring> a = heap_->Make<Ring>(lives_);
    a->next = heap_->Make<Ring>(lives_);
    a->next->next = a;
    root.Store(a);
  }
  EXPECT_EQ(heap_->Collect().objects, 0u);
  EXPECT_EQ(lives_.now(), 2);
  root.Store(nullptr);
  EXPECT_EQ(heap_->Collect().objects, 2u);
}

using PeekedTest = test::QuietHeapTest;

TEST_F(PeekedTest, TryRefCountsWhatLivesAndNothingElse) {
  AtomicRef<Item> cell(heap_->Make<Item>(lives_, 7));
  const ReadScope scope;
  Item* const seen = cell.Peek(scope);
  {
    const Ref<Item> held = TryRef(scope, seen);
    ASSERT_EQ(held.get(), seen);
    EXPECT_EQ(RefCount(held), 3) << "the cell, this one and the argument";
    cell.Store(nullptr);
    EXPECT_EQ(TryRef(scope, seen), held) << "held by the first";
  }
  EXPECT_EQ(seen->value, 7) << "whole as long as the scope is open";
  EXPECT_EQ(TryRef(scope, seen), nullptr) << "dead, and never alive again";
  EXPECT_EQ(TryRef(scope, static_cast<const Item*>(nullptr)), nullptr);
}

// Readers turn what they peek at into Refs while a writer replaces it.
TEST_F(PeekedTest, TryRefRacesWithTheLastDrop) {
  AtomicRef<Item> cell(heap_->Make<Item>(lives_, 1));
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      std::vector<Ref<Item>> held(8);
      for (size_t step = 0; !stop.load(std::memory_order_relaxed); ++step) {
        const ReadScope scope;
        Item* const seen = cell.Peek(scope);
        Ref<Item> ref = TryRef(scope, seen);
        EXPECT_GT(seen->value, 0);
        held[step % held.size()] = std::move(ref);
      }
      for (const Ref<Item>& ref : held) {
        if (ref) {
          EXPECT_GT(ref->value, 0);
        }
      }
    });
  }
  for (size_t i = 0; i < test::Sized(100'000, 5'000); ++i) {
    cell.Store(heap_->Make<Item>(lives_, static_cast<int>(i) + 1));
  }
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& reader : readers) reader.join();
  cell.Store(nullptr);
}

}  // namespace
}  // namespace reef
