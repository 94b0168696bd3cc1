// The windows of the protocols: the collector stops at a step, program threads act, it goes on.
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/stepper.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;
using test::Step;
using test::Stepper;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Life life;
  Member<Node> next;
  Member<Node> other;
};

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  Life life;
};

struct Finalizable {
  Finalizable(Lives& lives, std::atomic<int>* count) : life(lives), finalized(count) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(Ref<Finalizable>) { finalized->fetch_add(1); }
  Life life;
  std::atomic<int>* finalized;
  Member<Finalizable> self;
};

class StepTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode() { return heap_->Make<Node>(lives_); }
  // A garbage ring of two, and a weak handle to its first.
  Weak<Node> MakeGarbage() {
    Ref<Node> node = MakeNode();
    node->next = MakeNode();
    node->next->next = node;
    return node;
  }
};

// Section 6, One rendezvous, Unlogged overwrite: the only path to a child goes behind a black
// object.
TEST_F(StepTest, ChildMovedBehindANewbornSurvives) {
  for (const Step step : {Step::kLogging, Step::kEverybodyLogs, Step::kMarking, Step::kBornBlack,
                          Step::kRootsScanned, Step::kMarked}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Ref<Node> root = MakeNode();
    root->next = MakeNode();
    const Node* child = root->next.get();
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const Ref<Node> newborn = MakeNode();
    newborn->next = std::move(root->next);
    EXPECT_EQ(stepper.Finish().objects, 0u);
    EXPECT_EQ(newborn->next.get(), child);
    EXPECT_EQ(lives_.now(), 3);
  }
}

// Section 6, Unlogged root: the last Ref goes into a black object's edge before the scan sees it.
TEST_F(StepTest, RootConvertedBeforeTheScanSurvives) {
  for (const Step step : {Step::kEverybodyLogs, Step::kBornBlack, Step::kRootsScanned}) {
    SCOPED_TRACE(static_cast<int>(step));
    Ref<Node> moved = MakeNode();
    Ref<Node> copied = MakeNode();
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const Ref<Node> newborn = MakeNode();
    newborn->next = std::move(moved);
    newborn->other = copied;
    copied.Reset();
    EXPECT_EQ(stepper.Finish().objects, 0u);
    EXPECT_EQ(lives_.now(), 3);
  }
}

// Section 1, AdoptUnique: counts move the other way, hence never while armed.
TEST_F(StepTest, NothingIsAdoptedWhileArmed) {
  Ref<Node> shared = MakeNode();
  shared = std::move(shared).Share();
  Stepper stepper(*heap_);
  ASSERT_TRUE(stepper.RunTo(Step::kBornBlack));
  shared = std::move(shared).Adopt();
  const Ref<Node> newborn = MakeNode();
  newborn->next = std::move(shared);
  EXPECT_EQ(stepper.Finish().objects, 0u);
  EXPECT_EQ(lives_.now(), 2);
}

// The weak door, open: what a Lock revives is kept, with all that is moved out of it.
TEST_F(StepTest, RevivedGarbageSurvives) {
  for (const Step step : {Step::kLogging, Step::kEverybodyLogs, Step::kBornBlack,
                          Step::kRootsScanned, Step::kMarked, Step::kLogsTaken}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Weak<Node> weak = MakeGarbage();
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const Ref<Node> root = MakeNode();
    root->next = weak.Lock();
    ASSERT_TRUE(root->next);
    EXPECT_EQ(stepper.Finish().objects, 0u);
    EXPECT_EQ(weak.Lock()->next->next.get(), root->next.get());
    root->next = nullptr;
    EXPECT_EQ(heap_->Collect().objects, 2u);
  }
}

TEST_F(StepTest, WhatIsMovedOutOfRevivedGarbageSurvives) {
  for (const Step step : {Step::kRootsScanned, Step::kMarked, Step::kLogsTaken}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Weak<Node> weak = MakeGarbage();
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const Ref<Node> root = MakeNode();
    root->next = weak.Lock()->next.Take();  // the other of the ring; the first is garbage again
    EXPECT_TRUE(root->next);
    (void)stepper.Finish();
    EXPECT_EQ(root->next->next.get(), weak.Lock().get());
    root->next = nullptr;
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 1);
  }
}

// The weak door, closed: white is null, and null is final; everything else can still be locked.
TEST_F(StepTest, ClosedDoorIsNullForGarbageOnly) {
  for (const Step step : {Step::kDoorClosed, Step::kCondemned, Step::kIdle, Step::kDoorOpen,
                          Step::kCallbacksRun, Step::kCleared}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Weak<Node> garbage = MakeGarbage();
    const Ref<Node> old = MakeNode();
    const Ref<Leaf> leaf = heap_->Make<Leaf>(lives_);
    auto elsewhere = test::NewHeap();
    const Ref<Node> foreign = elsewhere->Make<Node>(lives_);
    const Weak<Node> weak_old = old;
    const Weak<Leaf> weak_leaf = leaf;
    const Weak<Node> weak_foreign = foreign;
    {
      Stepper stepper(*heap_);
      ASSERT_TRUE(stepper.RunTo(step));
      const Ref<Node> newborn = MakeNode();
      const Weak<Node> weak_newborn = newborn;
      EXPECT_FALSE(garbage.Lock());
      EXPECT_EQ(weak_old.Lock(), old);
      EXPECT_EQ(weak_leaf.Lock(), leaf);
      EXPECT_EQ(weak_foreign.Lock(), foreign);
      EXPECT_EQ(weak_newborn.Lock(), newborn);
      EXPECT_EQ(stepper.Finish().objects, 2u);
    }
    EXPECT_FALSE(garbage.Lock());
  }
}

// A Lock of what a finalizer is about to see succeeds, and what it brings back lives on.
TEST_F(StepTest, FinalizableGarbageCanBeLockedAndFinalizesOnce) {
  for (const Step step :
       {Step::kMarked, Step::kFinalizersTaken, Step::kDoorClosed, Step::kCondemned, Step::kFreed}) {
    SCOPED_TRACE(static_cast<int>(step));
    std::atomic<int> finalized{0};
    Weak<Finalizable> weak;
    {
      const Ref<Finalizable> object = heap_->Make<Finalizable>(lives_, &finalized);
      object->self = object;
      weak = object;
    }
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    Ref<Finalizable> held = weak.Lock();
    ASSERT_TRUE(held);
    (void)stepper.Finish();
    EXPECT_EQ(weak.Lock(), held);
    EXPECT_EQ(finalized.load(), step == Step::kMarked ? 0 : 1);
    held.Reset();
    (void)heap_->Collect();
    EXPECT_FALSE(weak.Lock());
    EXPECT_EQ(finalized.load(), 1);
    EXPECT_EQ(lives_.now(), 0);
  }
}

// Whatever a thread does while the collector stands anywhere: deaths are prompt and exact, garbage
// is found by the next collection at the latest.
class EveryStepTest : public StepTest, public ::testing::WithParamInterface<int> {
 protected:
  void Act() {
    std::vector<Ref<Node>> kept;
    Ref<Node> list;
    for (int i = 0; i < 100; ++i) {
      Ref<Node> node = MakeNode();
      node->next = std::move(list);
      list = std::move(node);
      if (i % 10 == 0) kept.push_back(list);
    }
    const Weak<Node> weak = list;
    list.Reset();
    EXPECT_FALSE(weak.Lock()) << "not kept: its death is due now";
    for (size_t i = 0; i + 1 < kept.size(); i += 2) kept[i]->other = kept[i + 1];
    (void)MakeGarbage();
    published_.Store(MakeNode());
    published_.Load()->next = kept.front();
    {
      const ReadScope scope;
      const Node* peeked = published_.Peek(scope);
      EXPECT_TRUE(peeked->next);
    }
  }

  AtomicRef<Node> published_;
};

TEST_P(EveryStepTest, ThreadsOldAndNewActSafely) {
  const Ref<Node> root = MakeNode();
  root->next = MakeNode();
  (void)MakeGarbage();
  std::atomic<int> finalized{0};
  {
    const Ref<Finalizable> object = heap_->Make<Finalizable>(lives_, &finalized);
    object->self = object;
  }
  const Step step{static_cast<uint8_t>(GetParam())};
  if (step == Step::kGarbageKept) heap_->SetDebug({.keep_garbage = true});
  {
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    Act();
    std::thread([this] { Act(); }).join();
    root->other = std::move(root->next);
    (void)stepper.Finish();
  }
  EXPECT_TRUE(root->other);
  published_.Store(nullptr);
  heap_->SetDebug({});
  heap_->TakeGarbage().clear();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_EQ(finalized.load(), 1);
}

INSTANTIATE_TEST_SUITE_P(Steps, EveryStepTest,
                         ::testing::Range(0, static_cast<int>(Step::kFinalized) + 1));

}  // namespace
}  // namespace reef
