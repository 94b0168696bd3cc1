// Vector<T>: every operation, against a std::vector, under collections, and without memory.

#include "reef/vector.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Item {
  Item(Lives& lives, int number) : life(lives), value(number) {}
  Life life;
  int value;
};

struct Bag {
  Bag() = default;
  explicit Bag(const Vector<Item>& source) : items(source) {}
  explicit Bag(Vector<Item>&& source) : items(std::move(source)) {}
  void Trace(Visitor& v) const { v.Visit(items, others); }
  Vector<Item> items;
  Vector<Item> others;
};

struct Tree {
  Tree(Lives& lives, int number) : life(lives), value(number) {}
  void Trace(Visitor& v) const { v.Visit(children); }
  Life life;
  int value;
  Vector<Tree> children;
};

std::vector<int> Values(const Vector<Item>& items) {
  std::vector<int> values;
  for (const Member<Item>& item : items) values.push_back(item ? item->value : -1);
  return values;
}

class VectorTest : public test::QuietHeapTest {
 protected:
  Ref<Item> MakeItem(int value) { return heap_->Make<Item>(lives_, value); }
  void Fill(Vector<Item>& items, int count) {
    for (int i = 0; i < count; ++i) items.push_back(MakeItem(i));
  }

  void TearDown() override {
    bag_.Reset();
    QuietHeapTest::TearDown();
  }

  Ref<Bag> bag_ = heap_->Make<Bag>();
};

TEST_F(VectorTest, StartsEmptyWithoutABuffer) {
  EXPECT_TRUE(bag_->items.empty());
  EXPECT_EQ(bag_->items.size(), 0u);
  EXPECT_EQ(bag_->items.capacity(), 0u);
  EXPECT_EQ(bag_->items.begin(), bag_->items.end());
  bag_->items.clear();
  bag_->items.shrink_to_fit();
  EXPECT_EQ(heap_->Stats().live_objects, 1u);
}

TEST_F(VectorTest, PushBackKeepsOrderAndCounts) {
  Fill(bag_->items, 100);
  EXPECT_EQ(bag_->items.size(), 100u);
  EXPECT_EQ(bag_->items.front()->value, 0);
  EXPECT_EQ(bag_->items.back()->value, 99);
  EXPECT_EQ(std::distance(bag_->items.begin(), bag_->items.end()), 100);
  for (size_t i = 0; i < 100; ++i) {
    const Ref<Item> item = bag_->items[i];
    ASSERT_EQ(item->value, static_cast<int>(i));
    ASSERT_EQ(RefCount(item), 3);
  }
}

TEST_F(VectorTest, PopBackAndClearDropAtOnce) {
  Fill(bag_->items, 10);
  bag_->items.pop_back();
  EXPECT_EQ(lives_.now(), 9);
  EXPECT_EQ(bag_->items.back()->value, 8);
  const size_t capacity = bag_->items.capacity();
  bag_->items.clear();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(bag_->items.capacity(), capacity);
}

TEST_F(VectorTest, SwapRemoveMovesTheLastElement) {
  Fill(bag_->items, 4);
  bag_->items.swap_remove(1);
  EXPECT_EQ(Values(bag_->items), std::vector<int>({0, 3, 2}));
  EXPECT_EQ(lives_.now(), 3);
  bag_->items.swap_remove(2);
  EXPECT_EQ(Values(bag_->items), std::vector<int>({0, 3}));
  bag_->items.swap_remove(0);
  bag_->items.swap_remove(0);
  EXPECT_TRUE(bag_->items.empty());
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(VectorTest, ResizeAddsEmptyEdgesAndDropsElements) {
  Fill(bag_->items, 3);
  bag_->items.resize(5);
  EXPECT_EQ(Values(bag_->items), std::vector<int>({0, 1, 2, -1, -1}));
  bag_->items[4] = MakeItem(4);
  bag_->items.resize(1);
  EXPECT_EQ(lives_.now(), 1);
  bag_->items.resize(3);
  EXPECT_EQ(Values(bag_->items), std::vector<int>({0, -1, -1}));
}

TEST_F(VectorTest, ReserveAndShrinkKeepTheElements) {
  Fill(bag_->items, 3);
  bag_->items.reserve(1000);
  EXPECT_GE(bag_->items.capacity(), 1000u);
  const Member<Item>* first = bag_->items.begin();
  for (int i = 3; i < 1000; ++i) bag_->items.push_back(MakeItem(i));
  EXPECT_EQ(bag_->items.begin(), first);
  bag_->items.reserve(10);
  EXPECT_GE(bag_->items.capacity(), 1000u);
  bag_->items.resize(5);
  bag_->items.shrink_to_fit();
  EXPECT_EQ(bag_->items.capacity(), 5u);
  EXPECT_EQ(Values(bag_->items), std::vector<int>({0, 1, 2, 3, 4}));
  bag_->items.clear();
  bag_->items.shrink_to_fit();
  EXPECT_EQ(bag_->items.capacity(), 0u);
}

TEST_F(VectorTest, CopiesShareElementsAndNotTheBuffer) {
  Fill(bag_->items, 20);
  const Ref<Bag> copy = heap_->Make<Bag>(bag_->items);
  EXPECT_EQ(Values(copy->items), Values(bag_->items));
  EXPECT_EQ(RefCount(Ref<Item>(copy->items[7])), 3);
  copy->items[7] = nullptr;
  EXPECT_EQ(bag_->items[7]->value, 7);
  bag_->others = bag_->items;
  bag_->others.push_back(MakeItem(20));
  EXPECT_EQ(bag_->items.size(), 20u);
  EXPECT_EQ(bag_->others.size(), 21u);
  bag_->others = bag_->items;
  EXPECT_EQ(Values(bag_->others), Values(bag_->items));
  Vector<Item>& same = bag_->items;
  bag_->items = same;
  EXPECT_EQ(bag_->items.size(), 20u);
  EXPECT_EQ(lives_.now(), 20);
}

TEST_F(VectorTest, MovesTakeTheBuffer) {
  Fill(bag_->items, 20);
  const Member<Item>* first = bag_->items.begin();
  const Ref<Bag> moved = heap_->Make<Bag>(std::move(bag_->items));
  EXPECT_TRUE(bag_->items.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved->items.begin(), first);
  bag_->items.push_back(MakeItem(100));
  bag_->items = std::move(moved->items);
  EXPECT_EQ(bag_->items.begin(), first);
  EXPECT_TRUE(moved->items.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(lives_.now(), 20);
  Vector<Item>& same = bag_->items;
  bag_->items = std::move(same);
  EXPECT_EQ(bag_->items.size(), 20u);
}

// The source lies in an object that the assignment lets go.
TEST_F(VectorTest, MoveFromAnElementsOwnVector) {
  const Ref<Tree> root = heap_->Make<Tree>(lives_, 0);
  root->children.push_back(heap_->Make<Tree>(lives_, 1));
  for (int i = 0; i < 5; ++i) {
    root->children[0]->children.push_back(heap_->Make<Tree>(lives_, 10 + i));
  }
  root->children = std::move(root->children[0]->children);
  EXPECT_EQ(lives_.now(), 6);
  ASSERT_EQ(root->children.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(root->children[static_cast<size_t>(i)]->value, 10 + i);
}

TEST_F(VectorTest, CopyFromAnElementsOwnVector) {
  const Ref<Tree> root = heap_->Make<Tree>(lives_, 0);
  root->children.push_back(heap_->Make<Tree>(lives_, 1));
  for (int i = 0; i < 5; ++i) {
    root->children[0]->children.push_back(heap_->Make<Tree>(lives_, 10 + i));
  }
  root->children = root->children[0]->children;
  EXPECT_EQ(lives_.now(), 6);
  ASSERT_EQ(root->children.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(root->children[static_cast<size_t>(i)]->value, 10 + i);
}

TEST_F(VectorTest, PushBackOfItsOwnElementSurvivesGrowth) {
  bag_->items.push_back(MakeItem(8));
  for (int i = 0; i < 1000; ++i) bag_->items.push_back(bag_->items.front());
  EXPECT_EQ(Values(bag_->items), std::vector<int>(1001, 8));
  EXPECT_EQ(RefCount(Ref<Item>(bag_->items.back())), 1002);
}

TEST_F(VectorTest, RandomOperationsAgreeWithStdVector) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::mt19937_64 random(seed);
  std::vector<Ref<Item>> model;
  Vector<Item>& items = bag_->items;
  for (int step = 0; step < 20'000; ++step) {
    const size_t at = model.empty() ? 0 : test::Below(random, model.size());
    const size_t choice = test::Below(random, 16);
    if (choice < 7 || model.empty()) {
      model.push_back(MakeItem(step));
      items.push_back(model.back());
    } else if (choice < 9) {
      model.pop_back();
      items.pop_back();
    } else if (choice < 11) {
      model[at] = model.back();
      model.pop_back();
      items.swap_remove(at);
    } else if (choice < 13) {
      model[at] = MakeItem(step);
      items[at] = model[at];
    } else if (choice == 13) {
      bag_->others = std::move(items);
      items = bag_->others;
    } else if (choice == 14) {
      items.shrink_to_fit();
    } else if (test::Below(random, 20) == 0) {
      const size_t size = test::Below(random, 2 * model.size() + 1);
      model.resize(size);
      items.resize(size);
    }
    ASSERT_EQ(items.size(), model.size()) << step;
    if (step % 64 == 0) {
      for (size_t i = 0; i < model.size(); ++i) ASSERT_EQ(items[i], model[i]) << step;
    }
  }
}

TEST_F(VectorTest, GrowsAndShrinksWhileCollectionsRun) {
  const test::ConstantCollector collector(*heap_);
  const Ref<Tree> root = heap_->Make<Tree>(lives_, -1);
  for (int round = 0; round < 10 || collector.rounds() < 5; ++round) {
    const int count = static_cast<int>(test::Sized(5000, 500));
    for (int i = 0; i < count; ++i) {
      root->children.push_back(heap_->Make<Tree>(lives_, i));
      root->children.back()->children.push_back(root);  // a cycle through two buffers
    }
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(root->children[static_cast<size_t>(i)]->value, i);
      ASSERT_EQ(root->children[static_cast<size_t>(i)]->children.front(), root);
    }
    while (root->children.size() > 10) root->children.swap_remove(5);
    root->children.shrink_to_fit();
    root->children.clear();
  }
  // Elements that a marker was tracing when they died are destroyed by the collector.
  (void)heap_->Collect();
  EXPECT_EQ(RefCount(root), 2);
}

TEST(VectorMemoryTest, GrowthWithoutMemoryLeavesTheVectorAsItWas) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{32} << 20;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  Lives lives;
  {
    const Ref<Bag> bag = heap->Make<Bag>();
    const Ref<Item> item = heap->Make<Item>(lives, 5);
    Vector<Item>& items = bag->items;
    EXPECT_THROW(while (items.size() < (size_t{16} << 20)) items.push_back(item), OutOfMemory);
    const size_t size = items.size();
    ASSERT_GT(size, 100'000u);
    EXPECT_EQ(items.capacity(), size);
    EXPECT_EQ(RefCount(item), static_cast<int64_t>(size) + 2);
    for (const Member<Item>& element : items) ASSERT_EQ(element, item);

    EXPECT_THROW(items.reserve(size_t{1} << 30), OutOfMemory);
    EXPECT_THROW(items.resize(size_t{1} << 30), OutOfMemory);
    // Counts of bytes that do not fit into a size_t.
    EXPECT_THROW(items.reserve(std::numeric_limits<size_t>::max() / 8 + 3), OutOfMemory);
    EXPECT_THROW(items.resize(std::numeric_limits<size_t>::max()), OutOfMemory);
    EXPECT_EQ(items.size(), size);
    EXPECT_EQ(items.capacity(), size);

    items.pop_back();
    items.push_back(item);
    EXPECT_EQ(items.back(), item);
    items.clear();
    items.shrink_to_fit();
    for (int i = 0; i < 100'000; ++i) items.push_back(item);
    EXPECT_EQ(RefCount(item), 100'002);
  }
  EXPECT_EQ(lives.now(), 0);
  EXPECT_TRUE(heap->Verify().ok()) << heap->Verify();
}

// A destructor on the collector finds its vectors empty, and may use them as such.
struct LastWill {
  LastWill(Heap& h, Lives& lives) : heap(&h), life(lives), counted(&lives) {}
  ~LastWill() {
    EXPECT_EQ(items.size(), 0u);
    items.resize(1);
    EXPECT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0], nullptr);
    items.push_back(heap->Make<Item>(*counted, 5));
    items.reserve(40);
    EXPECT_EQ(items.size(), 2u);
    EXPECT_EQ(items.back()->value, 5);
    items.clear();
  }
  void Trace(Visitor& v) const { v.Visit(items, self); }
  Heap* heap;
  Life life;
  Lives* counted;
  Vector<Item> items;
  Member<LastWill> self;
};

TEST_F(VectorTest, DestructorOnTheCollectorUsesItsVectorAfresh) {
  {
    const Ref<LastWill> will = heap_->Make<LastWill>(*heap_, lives_);
    for (int i = 0; i < 100; ++i) will->items.push_back(heap_->Make<Item>(lives_, i));
    will->self = will;
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

}  // namespace
}  // namespace reef
