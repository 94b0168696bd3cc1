// WeakKeyMap while a collection stands still at each of its steps (docs/protocols.md, section 18).
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/stepper.h"
#include "tests/heap/weak_key_map_support.h"

namespace reef {
namespace {

using test::Node;
using test::Step;
using test::Stepper;
using test::WeakKeyMapTest;

struct Finalizable {
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(Ref<Finalizable>) {}
  Member<Finalizable> self;
};

class WeakKeyMapStepTest : public WeakKeyMapTest, public ::testing::WithParamInterface<int> {
 protected:
  // So that there is a step at which finalizers are taken.
  void SetUp() override {
    const Ref<Finalizable> object = heap_->Make<Finalizable>();
    object->self = object;
  }
  Step step() const { return static_cast<Step>(GetParam()); }
  // A key that only its own value refers to.
  Weak<Node> MakeGarbage() {
    const Ref<Node> key = MakeNode();
    const Ref<Node> value = MakeNode();
    value->next = key;
    nodes_.Set(key, value);
    return key;
  }
};

// Whatever the collector is at: entries made, moved and read now are kept; those given up go.
TEST_P(WeakKeyMapStepTest, EntriesComeAndGo) {
  const Ref<Node> old = MakeNode();
  nodes_.Set(old, MakeNode(1));
  const Ref<Node> bare = MakeNode();
  const Ref<Node> source = MakeNode();
  source->next = MakeNode(2);
  {
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step()));
    // A first entry of an old key, whose value loses its only path of the snapshot.
    nodes_.Set(bare, source->next.Take());
    const Ref<Node> young = MakeNode();
    nodes_.Set(young, nodes_.Take(old));
    EXPECT_EQ(nodes_.Find(young)->number, 1);
    nodes_.Set(old, nodes_.Take(young));
    (void)stepper.Finish();
  }
  EXPECT_EQ(nodes_.Find(old)->number, 1);
  EXPECT_EQ(nodes_.Find(bare)->number, 2);
  EXPECT_EQ(lives_.now(), 5);
  EXPECT_EQ(heap_->Collect().objects, 0u);
  EXPECT_EQ(nodes_.Find(bare)->number, 2);
  EXPECT_TRUE(heap_->Verify().ok());
}

// A value that an iteration takes out of a garbage key's entry lives, and the key with it while it
// refers to it; after the door has closed there is nothing to be seen.
TEST_P(WeakKeyMapStepTest, IterationRevivesOrSeesNothing) {
  const Weak<Node> garbage = MakeGarbage();
  Ref<Node> kept;
  {
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step()));
    nodes_.ForEach([&](const Ref<Node>& key, const Ref<Node>& value) {
      EXPECT_EQ(value->next.get(), key.get());
      kept = value;
    });
    EXPECT_EQ(static_cast<bool>(kept), step() < Step::kDoorClosed);
    (void)stepper.Finish();
  }
  if (kept) {
    const Ref<Node> key = garbage.Lock();
    ASSERT_TRUE(key);
    EXPECT_EQ(nodes_.Find(key), kept);
    EXPECT_EQ(kept->next.get(), key.get());
  }
  kept.Reset();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

// A map that ends while its keys are garbage, or dying, drops each value once.
TEST_P(WeakKeyMapStepTest, MapsEnd) {
  const Ref<Node> living = MakeNode();
  nodes_.Set(living, MakeNode());
  (void)MakeGarbage();
  {
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step()));
    nodes_.clear();
    nodes_.Set(living, MakeNode(3));
    (void)stepper.Finish();
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_EQ(nodes_.Find(living)->number, 3);
}

// A counted death of a key: its value is dropped by it, once, wherever the collector stands.
TEST_P(WeakKeyMapStepTest, KeysDie) {
  Ref<Node> key = MakeNode();
  Ref<Node> value = MakeNode();
  const Ref<Node> behind = MakeNode(4);
  value->next = behind;
  nodes_.Set(key, std::move(value));
  {
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step()));
    key.Reset();
    (void)stepper.Finish();
  }
  EXPECT_EQ(lives_.now(), 1);
  EXPECT_EQ(RefCount(behind), 2);
}

// All but the one that only a heap comes to which keeps its garbage.
std::vector<int> Steps() {
  std::vector<int> steps;
  for (int step = 0; step <= static_cast<int>(Step::kFinalized); ++step) {
    if (step != static_cast<int>(Step::kGarbageKept)) steps.push_back(step);
  }
  return steps;
}

INSTANTIATE_TEST_SUITE_P(Steps, WeakKeyMapStepTest, ::testing::ValuesIn(Steps()));

}  // namespace
}  // namespace reef
