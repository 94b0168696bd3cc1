// The order of destruction: parents before children, each object once, drops in destructors
// included.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

using Names = std::vector<std::string>;

// Writes its name down when it dies.
struct Named {
  Named(Lives& lives, Names* order_of_death, std::string own_name)
      : life(lives), order(order_of_death), name(std::move(own_name)) {}
  ~Named() {
    if (left) seen += left->name;
    if (right) seen += right->name;
    order->push_back(name + (seen.empty() ? "" : ">" + seen));
  }
  void Trace(Visitor& v) const { v.Visit(left, right); }

  Life life;
  Names* order;
  std::string name;
  std::string seen;
  Member<Named> left;
  Member<Named> right;
};

class DestructionTest : public test::QuietHeapTest {
 protected:
  Ref<Named> MakeNamed(const std::string& name) {
    return heap_->Make<Named>(lives_, &order_, name);
  }
  size_t Place(const std::string& entry) const {
    return static_cast<size_t>(std::find(order_.begin(), order_.end(), entry) - order_.begin());
  }

  Names order_;
};

TEST_F(DestructionTest, ParentsDieBeforeChildrenAndSeeThemAlive) {
  Ref<Named> root = MakeNamed("root");
  root->left = MakeNamed("child");
  root->left->left = MakeNamed("grandchild");
  root.Reset();
  EXPECT_EQ(order_, Names({"root>child", "child>grandchild", "grandchild"}));
}

TEST_F(DestructionTest, ChildWithTwoParentsDiesAfterBoth) {
  Ref<Named> left = MakeNamed("left");
  Ref<Named> right = MakeNamed("right");
  left->left = MakeNamed("child");
  right->left = left->left;
  left.Reset();
  EXPECT_EQ(order_, Names({"left>child"}));
  right.Reset();
  EXPECT_EQ(order_, Names({"left>child", "right>child", "child"}));
}

TEST_F(DestructionTest, DiamondDiesFromTheTop) {
  Ref<Named> top = MakeNamed("top");
  top->left = MakeNamed("a");
  top->right = MakeNamed("b");
  top->left->left = MakeNamed("bottom");
  top->right->left = top->left->left;
  top.Reset();
  ASSERT_EQ(order_.size(), 4u);
  EXPECT_EQ(order_.front(), "top>ab");
  EXPECT_EQ(order_.back(), "bottom");
}

// As nested std::shared_ptrs do: members go in reverse order, and what the first one kept is gone
// before the second one's turn.
TEST_F(DestructionTest, WhatIsDroppedFirstDiesFirstWithAllItKept) {
  Ref<Named> root = MakeNamed("root");
  root->left = MakeNamed("l");
  root->right = MakeNamed("r");
  for (const Ref<Named>& child : {Ref<Named>(root->left), Ref<Named>(root->right)}) {
    child->left = MakeNamed(child->name + "l");
    child->right = MakeNamed(child->name + "r");
  }
  root.Reset();
  EXPECT_EQ(order_, Names({"root>lr", "r>rlrr", "rr", "rl", "l>lllr", "lr", "ll"}));
}

TEST_F(DestructionTest, OverwrittenEdgeDestroysBeforeTheStatementEnds) {
  const Ref<Named> root = MakeNamed("root");
  root->left = MakeNamed("first");
  root->left->left = MakeNamed("second");
  root->left = nullptr;
  EXPECT_EQ(order_, Names({"first>second", "second"}));
}

TEST_F(DestructionTest, WhatARootStillHoldsSurvivesItsParent) {
  Ref<Named> parent = MakeNamed("parent");
  parent->left = MakeNamed("child");
  Ref<Named> child = parent->left;
  parent.Reset();
  EXPECT_EQ(order_, Names({"parent>child"}));
  EXPECT_EQ(child->name, "child");
  EXPECT_EQ(RefCount(child), 2);
  child.Reset();
  EXPECT_EQ(order_.back(), "child");
}

// Drops what it is told to when it dies; the Refs lie outside of the managed object.
struct Holder {
  Holder(Lives& lives, Names* order_of_death) : life(lives), order(order_of_death) {}
  ~Holder() {
    held.clear();
    order->push_back("holder");
  }
  Life life;
  Names* order;
  std::vector<Ref<Named>> held;
};

TEST_F(DestructionTest, DropsInsideADestructorRunBeforeTheOuterStatementEnds) {
  Ref<Holder> holder = heap_->Make<Holder>(lives_, &order_);
  holder->held.push_back(MakeNamed("one"));
  holder->held.push_back(MakeNamed("two"));
  holder->held.front()->left = MakeNamed("three");
  holder.Reset();
  std::sort(order_.begin(), order_.end());
  EXPECT_EQ(order_, Names({"holder", "one>three", "three", "two"}));
  EXPECT_EQ(lives_.now(), 0);
}

// Makes, links and drops objects in its destructor.
struct Maker {
  Maker(Lives& lives, Names* order_of_death, Heap* own_heap)
      : life(lives), all(lives), order(order_of_death), heap(own_heap) {}
  ~Maker() {
    Ref<Named> fresh = heap->Make<Named>(all, order, "fresh");
    fresh->left = heap->Make<Named>(all, order, "leaf");
    fresh.Reset();
  }
  Life life;
  Lives& all;
  Names* order;
  Heap* heap;
};

TEST_F(DestructionTest, DestructorsMayMakeAndDropObjects) {
  (void)heap_->Make<Maker>(lives_, &order_, heap_.get());
  EXPECT_EQ(order_, Names({"fresh>leaf", "leaf"}));
  EXPECT_EQ(lives_.now(), 0);
}

struct Edgeless {
  explicit Edgeless(std::vector<uint8_t>* marks, size_t index) : deaths(marks), number(index) {}
  ~Edgeless() { ++(*deaths)[number]; }
  std::vector<uint8_t>* deaths;
  size_t number;
};

TEST_F(DestructionTest, EachObjectOfAShuffledDropDiesOnce) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::mt19937_64 random(seed);
  const size_t count = test::Sized(200'000, 20'000);
  std::vector<uint8_t> deaths(count, 0);
  std::vector<Ref<Edgeless>> refs;
  for (size_t i = 0; i < count; ++i) refs.push_back(heap_->Make<Edgeless>(&deaths, i));
  for (size_t i = 0; i < count; ++i) refs.push_back(refs[i]);
  std::shuffle(refs.begin(), refs.end(), random);
  size_t dead = 0;
  for (Ref<Edgeless>& ref : refs) {
    const size_t number = ref->number;
    const bool last = RefCount(ref) == 2;
    ref.Reset();
    ASSERT_EQ(deaths[number], last ? 1 : 0);
    dead += deaths[number];
  }
  EXPECT_EQ(dead, count);
  EXPECT_EQ(std::count(deaths.begin(), deaths.end(), 1), static_cast<std::ptrdiff_t>(count));
}

struct DagNode {
  DagNode(std::vector<size_t>* times, size_t index) : order(times), number(index) {}
  ~DagNode() { order->push_back(number); }
  void Trace(Visitor& v) const { v.Visit(children); }
  std::vector<size_t>* order;
  size_t number;
  Vector<DagNode> children;
};

TEST_F(DestructionTest, RandomAcyclicGraphsDieParentsFirstAndOnce) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    constexpr size_t kNodes = 2000;
    std::vector<size_t> order;
    std::vector<std::pair<size_t, size_t>> edges;
    std::vector<Ref<DagNode>> nodes;
    for (size_t i = 0; i < kNodes; ++i) nodes.push_back(heap_->Make<DagNode>(&order, i));
    for (size_t i = 0; i + 1 < kNodes; ++i) {
      for (size_t n = test::Below(random, 4); n != 0; --n) {
        const size_t child = i + 1 + test::Below(random, kNodes - i - 1);
        nodes[i]->children.push_back(nodes[child]);
        edges.emplace_back(i, child);
      }
    }
    // Roots go in random order: a parent may die long before its child, never after it.
    std::shuffle(nodes.begin(), nodes.end(), random);
    for (Ref<DagNode>& node : nodes) node.Reset();
    ASSERT_EQ(order.size(), kNodes);
    std::vector<size_t> time(kNodes, kNodes);
    for (size_t i = 0; i < kNodes; ++i) {
      ASSERT_EQ(time[order[i]], kNodes) << "object " << order[i] << " died twice";
      time[order[i]] = i;
    }
    for (const auto& [parent, child] : edges) ASSERT_LT(time[parent], time[child]);
  }
}

TEST_F(DestructionTest, LeavesOfOneParentAllDieWithIt) {
  const size_t count = test::Sized(1'000'000, 100'000);
  struct Wide {
    void Trace(Visitor& v) const { v.Visit(children); }
    Vector<Edgeless> children;
  };
  std::vector<uint8_t> deaths(count, 0);
  Ref<Wide> wide = heap_->Make<Wide>();
  for (size_t i = 0; i < count; ++i) wide->children.push_back(heap_->Make<Edgeless>(&deaths, i));
  wide.Reset();
  EXPECT_EQ(std::accumulate(deaths.begin(), deaths.end(), size_t{0}), count);
}

}  // namespace
}  // namespace reef
