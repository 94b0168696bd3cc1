// Weak handles: what they may be made of, and when they let go.
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Base {
  int number = 7;
};

struct Node : Base {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }

  Life life;
  Member<Node> next;
  Weak<Node> back;
};

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  Life life;
};

class WeakTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode() { return heap_->Make<Node>(lives_); }
};

TEST_F(WeakTest, IsOnePointerWideAndEmptyAtFirst) {
  static_assert(sizeof(Weak<Node>) == sizeof(void*));
  Weak<Node> weak;
  EXPECT_FALSE(weak.Lock());
  EXPECT_TRUE(weak.IsKnownDead());
  EXPECT_EQ(weak, Weak<Node>(nullptr));
  EXPECT_EQ(weak, Weak<Node>(Ref<Node>()));
}

TEST_F(WeakTest, LocksTheLivingAndNotTheDead) {
  Ref<Node> node = MakeNode();
  const Weak<Node> weak = node;
  {
    const Ref<Node> strong = weak.Lock();
    EXPECT_EQ(strong, node);
    EXPECT_EQ(RefCount(node), 3);  // node, strong, the argument
  }
  EXPECT_FALSE(weak.IsKnownDead());
  node.Reset();
  EXPECT_EQ(lives_.now(), 0) << "a weak handle kept the object";
  EXPECT_FALSE(weak.Lock());
  EXPECT_TRUE(weak.IsKnownDead());
}

TEST_F(WeakTest, DestructorRunsBeforeTheStatementEnds) {
  Ref<Leaf> leaf = heap_->Make<Leaf>(lives_);
  const Weak<Leaf> weak = leaf;
  leaf = nullptr;
  EXPECT_EQ(lives_.ended(), 1);
  EXPECT_FALSE(weak.Lock());
}

TEST_F(WeakTest, HandlesOfOneObjectAreEqualAlsoAfterItsDeath) {
  Ref<Node> one = MakeNode();
  const Ref<Node> two = MakeNode();
  const Weak<Node> a = one;
  const Weak<Node> b = one;
  const Weak<Node> c = two;
  EXPECT_EQ(a, b);
  EXPECT_FALSE(a == c);
  std::unordered_set<Weak<Node>> set{a, b, c};
  EXPECT_EQ(set.size(), 2u);
  one.Reset();
  EXPECT_EQ(a, b);
  EXPECT_EQ(set.count(b), 1u);
}

TEST_F(WeakTest, CountsItsHandles) {
  const Ref<Node> node = MakeNode();
  EXPECT_EQ(WeakCount(node), 0u);
  Weak<Node> one = node;
  Weak<Node> two = one;
  EXPECT_EQ(WeakCount(node), 2u);
  Weak<Node> moved = std::move(one);
  EXPECT_EQ(WeakCount(node), 2u);
  two.Reset();
  EXPECT_EQ(WeakCount(node), 1u);
  moved = nullptr;
  EXPECT_EQ(WeakCount(node), 0u);
  EXPECT_EQ(WeakCount(Ref<Node>()), 0u);
}

TEST_F(WeakTest, WithRunsOnTheLivingOnly) {
  Ref<Node> node = MakeNode();
  const Weak<Node> weak = node;
  int seen = 0;
  EXPECT_TRUE(weak.With([&seen](Node& alive) { seen = alive.number; }));
  EXPECT_EQ(seen, 7);
  node.Reset();
  EXPECT_FALSE(weak.With([&seen](Node&) { seen = 0; }));
  EXPECT_EQ(seen, 7);
}

TEST_F(WeakTest, WhatAFunctionThrowsLetsItsObjectGo) {
  struct View {
    explicit View(Lives& lives) : life(lives) {}
    void Redraw(Ref<View>* last) {
      last->Reset();
      throw std::runtime_error("redraw");
    }
    Life life;
  };
  Ref<View> view = heap_->Make<View>(lives_);
  const Weak<View> weak = view;
  EXPECT_THROW((void)weak.With([](View&) { throw std::runtime_error("with"); }),
               std::runtime_error);
  EXPECT_EQ(RefCount(view), 2) << "this one and the argument";
  EXPECT_THROW((void)weak.With([&view](View& alive) { alive.Redraw(&view); }), std::runtime_error);
  EXPECT_EQ(lives_.now(), 0) << "the count that With held is gone";
  view = heap_->Make<View>(lives_);
  const auto redraw = WeakFunction(view, &View::Redraw);
  EXPECT_THROW((void)redraw(&view), std::runtime_error);
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_FALSE(redraw(&view));
}

TEST_F(WeakTest, ConvertsFromDerivedAndFromMember) {
  const Ref<Node> node = MakeNode();
  node->next = MakeNode();
  const Weak<Node> child = node->next;
  const Weak<Base> base = node;
  EXPECT_EQ(base.Lock()->number, 7);
  EXPECT_EQ(child.Lock(), Ref<Node>(node->next));
}

TEST_F(WeakTest, MayLieInManagedObjectsWithoutMakingACycle) {
  Ref<Node> parent = MakeNode();
  parent->next = MakeNode();
  parent->next->back = parent;
  parent.Reset();
  EXPECT_EQ(lives_.now(), 0) << "a weak back reference kept its parent";
}

TEST_F(WeakTest, ObjectOfADeadCycleIsNotLocked) {
  Ref<Node> node = MakeNode();
  node->next = MakeNode();
  node->next->next = node;
  node->back = node;
  const Weak<Node> weak = node;
  node.Reset();
  {
    // Only the cycle keeps it: a Lock brings it back.
    EXPECT_TRUE(weak.Lock());
  }
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_FALSE(weak.Lock());
  EXPECT_TRUE(weak.IsKnownDead());
}

TEST_F(WeakTest, LockedObjectOfACycleSurvivesCollections) {
  Ref<Node> node = MakeNode();
  node->next = node;
  const Weak<Node> weak = node;
  node.Reset();
  Ref<Node> back = weak.Lock();
  EXPECT_EQ(heap_->Collect().objects, 0u);
  EXPECT_EQ(back->next.get(), back.get());
  back.Reset();
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_FALSE(weak.Lock());
}

// Looks at itself, weakly, while it dies.
struct Narcissus {
  Narcissus(Lives& lives, bool* was_locked) : life(lives), locked(was_locked) {}
  ~Narcissus() { *locked = Weak<Narcissus>::FromManaged(this).Lock() || (self && self->Lock()); }
  Life life;
  bool* locked;
  Weak<Narcissus>* self = nullptr;
};

TEST_F(WeakTest, DestructorCannotLockItsObject) {
  bool locked = true;
  Weak<Narcissus> weak;
  Ref<Narcissus> object = heap_->Make<Narcissus>(lives_, &locked);
  object.Reset();  // without a cell
  EXPECT_FALSE(locked);
  locked = true;
  object = heap_->Make<Narcissus>(lives_, &locked);
  weak = object;
  object->self = &weak;
  object.Reset();
  EXPECT_FALSE(locked);
}

TEST_F(WeakTest, HandlesOutliveTheirHeap) {
  auto heap = test::NewHeap();
  Ref<Leaf> leaf = heap->Make<Leaf>(lives_);
  const Weak<Leaf> weak = leaf;
  leaf.Reset();
  heap.reset();
  EXPECT_FALSE(weak.Lock());
  const Weak<Leaf> copy = weak;
  EXPECT_EQ(copy, weak);
}

TEST_F(WeakTest, LargeObjectsAndEverySizeHaveCells) {
  struct Big {
    explicit Big(Lives& lives) : life(lives) {}
    Life life;
    char bytes[200'000] = {};
  };
  struct Tiny {
    char byte = 1;
  };
  Ref<Big> big = heap_->Make<Big>(lives_);
  std::vector<Ref<Tiny>> tinies;
  std::vector<Weak<Tiny>> weaks;
  for (int i = 0; i < 10'000; ++i) {
    tinies.push_back(heap_->Make<Tiny>());
    weaks.emplace_back(tinies.back());
  }
  const Weak<Big> weak = big;
  EXPECT_EQ(weak.Lock(), big);
  for (size_t i = 0; i < tinies.size(); ++i) ASSERT_EQ(weaks[i].Lock(), tinies[i]);
  big.Reset();
  for (size_t i = 0; i < tinies.size(); i += 2) tinies[i].Reset();
  EXPECT_FALSE(weak.Lock());
  for (size_t i = 0; i < tinies.size(); ++i) ASSERT_EQ(weaks[i].Lock(), tinies[i]);
}

TEST_F(WeakTest, BlockIsReusedAfterAGracePeriodOnly) {
  Ref<Leaf> leaf = heap_->Make<Leaf>(lives_);
  const void* first = leaf.get();
  Weak<Leaf> weak = leaf;
  {
    const ReadScope scope;  // holds the grace period up
    leaf.Reset();
    EXPECT_EQ(lives_.now(), 0);
    for (int i = 0; i < 100; ++i) {
      const Ref<Leaf> other = heap_->Make<Leaf>(lives_);
      ASSERT_NE(other.get(), first);
    }
  }
  (void)heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

TEST_F(WeakTest, PublishedObjectsClearTheirHandlesToo) {
  AtomicRef<Node> published(MakeNode());
  const Weak<Node> weak = published.Load();
  published.Store(nullptr);
  EXPECT_FALSE(weak.Lock());
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(weak.IsKnownDead());
}

TEST_F(WeakTest, AnotherThreadsObjectIsLockedAndLeft) {
  Ref<Node> node = MakeNode();
  Weak<Node> weak = node;
  std::thread([&weak, &node] {
    const Ref<Node> strong = weak.Lock();
    EXPECT_EQ(strong, node);
  }).join();
  node.Reset();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(WeakTest, WeakFunctionCallsTheLivingOnly) {
  struct View {
    void Redraw(int frame) { last = frame; }
    int last = 0;
  };
  Ref<View> view = heap_->Make<View>();
  const auto on_tick = WeakFunction(view, &View::Redraw);
  EXPECT_TRUE(on_tick(3));
  EXPECT_EQ(view->last, 3);
  view.Reset();
  EXPECT_FALSE(on_tick(4));
}

}  // namespace
}  // namespace reef
