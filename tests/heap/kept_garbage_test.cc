// Kept garbage meets weak handles and finalizers: what is kept was never given up, what came back
// is not kept, and finalizers run first.
#include <algorithm>
#include <atomic>
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
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

struct Finalizable {
  Finalizable(Lives& lives, std::atomic<int>* count) : life(lives), finalized(count) {}
  void Trace(Visitor& v) const { v.Visit(self, node); }
  void Finalize(Ref<Finalizable>) { finalized->fetch_add(1); }
  Life life;
  std::atomic<int>* finalized;
  Member<Finalizable> self;
  Member<Node> node;
};

class KeptGarbageTest : public test::QuietHeapTest {
 protected:
  KeptGarbageTest() { heap_->SetDebug({.keep_garbage = true}); }
  // A garbage ring of two, and a weak handle to its first.
  Weak<Node> MakeGarbage() {
    Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = heap_->Make<Node>(lives_);
    node->next->next = node;
    return node;
  }
  bool IsAmong(const std::vector<AnyRef>& garbage, const void* object) {
    return std::any_of(garbage.begin(), garbage.end(),
                       [object](const AnyRef& any) { return any.address() == object; });
  }
  void Reclaim() {
    heap_->SetDebug({});
    heap_->TakeGarbage().clear();
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    EXPECT_TRUE(heap_->Verify().ok());
  }
};

TEST_F(KeptGarbageTest, WeakHandlesToItLockInEveryStep) {
  for (int step = 0; step <= static_cast<int>(Step::kFinalized); ++step) {
    if (static_cast<Step>(step) == Step::kFinalizersTaken) continue;  // there are none
    SCOPED_TRACE(step);
    const Weak<Node> weak = MakeGarbage();
    const Node* address = weak.Lock().get();
    bool called = false;
    const WeakCallback<Node> watch(weak.Lock(), [&called] { called = true; });
    {
      Stepper stepper(*heap_);
      ASSERT_TRUE(stepper.RunTo(static_cast<Step>(step)));
      // A null here would be final; and then nobody may see the object in the list.
      EXPECT_EQ(weak.Lock().get(), address);
      EXPECT_EQ(stepper.Finish().objects, 0u);
    }
    EXPECT_EQ(weak.Lock().get(), address);
    EXPECT_FALSE(called);
    // If it was brought back before the list was made, the next collection keeps it.
    (void)heap_->Collect();
    EXPECT_TRUE(IsAmong(heap_->TakeGarbage(), address));
    Reclaim();
    EXPECT_FALSE(weak.Lock());
    EXPECT_TRUE(called);
    heap_->SetDebug({.keep_garbage = true});
  }
}

TEST_F(KeptGarbageTest, WhatCameBackIsNotGarbage) {
  for (const Step step : {Step::kRootsScanned, Step::kMarked, Step::kLogsTaken}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Weak<Node> weak = MakeGarbage();
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const Ref<Node> held = weak.Lock();
    ASSERT_TRUE(held);
    (void)stepper.Finish();
    EXPECT_FALSE(IsAmong(heap_->TakeGarbage(), held.get()));
    EXPECT_EQ(held->next->next, held);
    held->next = nullptr;
  }
  Reclaim();
}

// Garbage that is locked, taken apart and dropped after its last log was taken is dead or dying
// when the list looks at it.
TEST_F(KeptGarbageTest, WhatCameBackAndDiedIsNotKept) {
  for (const Step step : {Step::kRootsScanned, Step::kMarked, Step::kLogsTaken}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Weak<Node> weak = MakeGarbage();
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    {
      const Ref<Node> held = weak.Lock();
      ASSERT_TRUE(held);
      held->next = nullptr;
    }
    EXPECT_EQ(lives_.now(), 0);
    EXPECT_EQ(stepper.Finish().kept, 0u);
    EXPECT_TRUE(heap_->TakeGarbage().empty());
  }
}

TEST_F(KeptGarbageTest, FinalizersRunFirstAndOnce) {
  std::atomic<int> finalized{0};
  {
    const Ref<Finalizable> object = heap_->Make<Finalizable>(lives_, &finalized);
    object->self = object;
    object->node = MakeGarbage().Lock();
  }
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(report.finalized, 1u);
  EXPECT_EQ(report.kept, 3u) << "also what only it refers to";
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(finalized.load(), 1);
  int seen = 0;
  for (const AnyRef& any : heap_->TakeGarbage()) {
    const Ref<Finalizable> object = any.As<Finalizable>();
    if (!object) continue;
    ++seen;
    EXPECT_TRUE(IsFinalized(object));
  }
  EXPECT_EQ(seen, 1);
  Reclaim();
  EXPECT_EQ(finalized.load(), 1);
}

// Threads bring garbage back, take it apart and drop it while collections keep it: each object is
// held, kept, or dead, and at the end all are gone.
TEST_F(KeptGarbageTest, ListMeetsRevivals) {
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(3, [&](int thread) {
      std::vector<Weak<Node>> recent(64);
      for (size_t i = 0; i < test::Sized(40'000, 4'000); ++i) {
        Weak<Node>& weak = recent[i % recent.size()];
        if (Ref<Node> held = weak.Lock()) {
          ASSERT_TRUE(held->next);
          if (i % 3 != 0) held->next = nullptr;  // both die of it, unless a list holds one
        } else {
          ASSERT_LT(i, recent.size()) << "given up, though all garbage is kept";
        }
        weak = MakeGarbage();
        if (thread == 0 && i % 100 == 0) heap_->TakeGarbage().clear();
      }
    });
  }
  Reclaim();
}

}  // namespace
}  // namespace reef
