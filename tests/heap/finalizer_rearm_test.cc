// Re-arming: a finalizer may run once more, for an object that somebody keeps.
#include <cstdlib>
#include <functional>
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

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(Ref<Node> self) {
    ++finalized;
    if (on_finalize) on_finalize(std::move(self));
  }

  Life life;
  Member<Node> next;
  int finalized = 0;
  std::function<void(Ref<Node>)> on_finalize;
};

class FinalizerRearmTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode() { return heap_->Make<Node>(lives_); }
  Ref<Node> MakeRing() {
    Ref<Node> node = MakeNode();
    node->next = node;
    return node;
  }
  Ref<Node> saved_;
  void TearDown() override {
    saved_.Reset();
    QuietHeapTest::TearDown();
  }
};

TEST_F(FinalizerRearmTest, InsideItsOwnFinalizeItCountsForWhatIsKept) {
  Ref<Node> node = MakeNode();
  node->on_finalize = [this](Ref<Node> self) {
    RearmFinalizer(self);
    saved_ = std::move(self);
  };
  node.Reset();
  EXPECT_FALSE(IsFinalized(saved_));
  Node* object = saved_.get();
  saved_.Reset();
  EXPECT_EQ(saved_.get(), object);
  EXPECT_EQ(saved_->finalized, 2);
  saved_->on_finalize = nullptr;
}

TEST_F(FinalizerRearmTest, WhatNobodyKeepsDiesAllTheSame) {
  int calls = 0;
  Ref<Node> node = MakeNode();
  node->on_finalize = [&calls](const Ref<Node>& self) {
    if (++calls < 100) RearmFinalizer(self);
  };
  node.Reset();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(lives_.now(), 0);
}

// It keeps itself: nobody but a collection can tell that this is nobody.
TEST_F(FinalizerRearmTest, ACycleRunsOncePerCollectionUntilItIsLeftAlone) {
  int calls = 0;
  MakeRing()->on_finalize = [&calls](const Ref<Node>& self) {
    if (++calls < 10) RearmFinalizer(self);
  };
  for (int i = 0; i < 10 && lives_.now() != 0; ++i) (void)heap_->Collect();
  EXPECT_EQ(calls, 10);
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(FinalizerRearmTest, RearmedRunsAgainWhenACollectionFindsIt) {
  MakeRing()->on_finalize = [this](Ref<Node> self) { saved_ = std::move(self); };
  EXPECT_EQ(heap_->Collect().finalized, 1u);
  ASSERT_TRUE(saved_);
  RearmFinalizer(saved_);
  EXPECT_FALSE(IsFinalized(saved_));
  saved_.Reset();
  EXPECT_EQ(heap_->Collect().finalized, 1u);
  ASSERT_TRUE(saved_);
  EXPECT_EQ(saved_->finalized, 2);
  saved_->on_finalize = nullptr;
  saved_.Reset();
  EXPECT_EQ(heap_->Collect().finalized, 0u);
  EXPECT_EQ(lives_.now(), 0);
}

// Between the last drop and Finalize the object is finalized already, and may be re-armed: then the
// one that is due counts for the drop, and another one comes.
TEST_F(FinalizerRearmTest, WhileItIsQueued) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = queue.Executor();
  auto heap = test::NewHeap(options);
  Ref<Node> node = heap->Make<Node>(lives_);
  const Weak<Node> weak = node;
  node.Reset();
  EXPECT_EQ(queue.size(), 1u);
  Ref<Node> locked = weak.Lock();
  ASSERT_TRUE(locked);
  EXPECT_TRUE(IsFinalized(locked));
  EXPECT_EQ(locked->finalized, 0);
  RearmFinalizer(locked);
  EXPECT_FALSE(IsFinalized(locked));
  EXPECT_EQ(queue.Drain(), 1u);
  EXPECT_EQ(locked->finalized, 1);
  locked.Reset();
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.Drain(), 1u);
  EXPECT_EQ(lives_.now(), 0);
}

// A type that hides its base's Finalize where the compiler cannot tell: overloaded, and final.
struct Base {
  explicit Base(Lives& lives) : life(lives) {}
  void Finalize(Ref<Base> /*self*/) { std::abort(); }
  Life life;
};
struct Hiding final : Base {
  using Base::Base;
  void Finalize(int /*how*/) {}
  void Finalize(const std::string& /*how*/) {}
};

#if REEF_IS_CHECKED
TEST_F(FinalizerRearmTest, OfATypeThatHidesItsBasesFinalize) {
  const Ref<Base> base = heap_->Make<Hiding>(lives_);
  EXPECT_TRUE(IsFinalized(base));
  EXPECT_DEATH(RearmFinalizer(base), "hides the Finalize of its base");
}
#else
TEST_F(FinalizerRearmTest, OfATypeThatHidesItsBasesFinalizeDoesNothing) {
  Ref<Base> base = heap_->Make<Hiding>(lives_);
  EXPECT_TRUE(IsFinalized(base));
  RearmFinalizer(base);
  EXPECT_TRUE(IsFinalized(base));
  base.Reset();
  EXPECT_EQ(lives_.now(), 0);
}
#endif

}  // namespace
}  // namespace reef
