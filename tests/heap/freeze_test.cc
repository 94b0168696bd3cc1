// Freezing, seen from outside: what is frozen stays, what it refers to stays, counts go on.

#include <cstdint>
#include <memory>
#include <random>
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

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  ~Node() { mark = 0; }
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Life life;
  Member<Node> next;
  Member<Node> other;
  uint64_t mark = 0x5eed;
};

class FreezeTest : public testing::Test {
 protected:
  Ref<Node> MakeRing() {
    const Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = node;
    return node;
  }
  uint64_t Freeze() {
    const absl::StatusOr<uint64_t> count = heap_->Freeze();
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(0);
  }

  Lives lives_;
  std::unique_ptr<Heap> heap_ = test::NewHeap();
};

TEST_F(FreezeTest, FrozenObjectsAreSparedAndCounted) {
  const Ref<Node> kept = MakeRing();
  (void)MakeRing();
  EXPECT_EQ(heap_->FreezeCount(), 0u);
  EXPECT_EQ(Freeze(), 2u);
  EXPECT_EQ(heap_->FreezeCount(), 2u);
  (void)MakeRing();
  EXPECT_EQ(heap_->Collect().objects, 1u) << "made later, found now";
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_EQ(heap_->Unfreeze().value(), 2u);
  EXPECT_EQ(heap_->FreezeCount(), 0u);
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(lives_.now(), 1);
}

TEST_F(FreezeTest, LastReferenceEndsAFrozenObjectAtOnce) {
  Ref<Node> node = heap_->Make<Node>(lives_);
  node->next = heap_->Make<Node>(lives_);
  EXPECT_EQ(Freeze(), 2u);
  node->next = nullptr;
  EXPECT_EQ(lives_.now(), 1);
  node.Reset();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(heap_->FreezeCount(), 0u);
}

TEST_F(FreezeTest, LeavesAreNoneOfItsBusiness) {
  const Ref<int> leaf = heap_->Make<int>(3);
  EXPECT_EQ(Freeze(), 0u);
  EXPECT_EQ(*leaf, 3);
}

TEST_F(FreezeTest, StoresIntoFrozenObjectsKeepTheirTargets) {
  const Ref<Node> frozen = heap_->Make<Node>(lives_);
  EXPECT_EQ(Freeze(), 1u);
  for (int i = 0; i < 5; ++i) {
    // A cycle of new objects that only the frozen one refers to.
    Ref<Node> fresh = heap_->Make<Node>(lives_);
    fresh->next = fresh;
    frozen->other = std::move(fresh);
    const uint64_t found = heap_->Collect().objects;
    EXPECT_EQ(found, i == 0 ? 0u : 1u) << "the one before";
    ASSERT_EQ(frozen->other->next, frozen->other);
  }
}

TEST_F(FreezeTest, WhatBecameGarbageWhileFrozenIsFoundByItself) {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.growth_bytes = 0;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  Ref<Node> node = heap->Make<Node>(lives_);
  node->next = node;
  EXPECT_EQ(heap->Freeze().value(), 1u);
  node.Reset();
  (void)heap->Collect();  // and no suspects since
  EXPECT_EQ(lives_.now(), 1);
  EXPECT_EQ(heap->Unfreeze().value(), 1u);
  EXPECT_TRUE(test::Eventually([&] { return lives_.now() == 0; }));
}

// With a last word, and watched by weak handles: both wait while the object is frozen, and come
// when it dies.
struct Speaker {
  Speaker(Lives& lives, int* count) : life(lives), finalized(count) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(Ref<Speaker>) { ++*finalized; }
  Life life;
  int* finalized;
  Member<Speaker> self;
};

TEST_F(FreezeTest, FrozenGarbageKeepsItsFinalizerAndItsWeakHandles) {
  int finalized = 0;
  int called = 0;
  Weak<Speaker> weak;
  std::vector<WeakCallback<Speaker>> watches;
  {
    const Ref<Speaker> speaker = heap_->Make<Speaker>(lives_, &finalized);
    speaker->self = speaker;
    weak = speaker;
    watches.emplace_back(speaker, [&called] { ++called; });
  }
  EXPECT_EQ(Freeze(), 1u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(heap_->Collect().finalized, 0u);
    EXPECT_TRUE(weak.Lock());
  }
  EXPECT_EQ(finalized, 0);
  EXPECT_EQ(heap_->Unfreeze().value(), 1u);
  EXPECT_EQ(heap_->Collect().finalized, 1u);
  EXPECT_EQ(finalized, 1);
  EXPECT_EQ(called, 1);
  EXPECT_FALSE(weak.Lock());
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(FreezeTest, FrozenObjectIsFinalizedByItsLastReference) {
  int finalized = 0;
  Ref<Speaker> speaker = heap_->Make<Speaker>(lives_, &finalized);
  const Weak<Speaker> weak = speaker;
  EXPECT_EQ(Freeze(), 1u);
  speaker.Reset();
  EXPECT_EQ(finalized, 1);
  EXPECT_FALSE(weak.Lock());
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(heap_->FreezeCount(), 0u);
}

TEST_F(FreezeTest, FrozenGarbageCanBeLockedInEveryStep) {
  for (int step = 0; step <= static_cast<int>(test::Step::kFinalized); ++step) {
    if (step == static_cast<int>(test::Step::kFinalizersTaken)) continue;
    if (step == static_cast<int>(test::Step::kGarbageKept)) continue;
    SCOPED_TRACE(step);
    const Weak<Node> weak = MakeRing();
    EXPECT_EQ(Freeze(), 1u);
    {
      test::Stepper stepper(*heap_);
      ASSERT_TRUE(stepper.RunTo(static_cast<test::Step>(step)));
      EXPECT_TRUE(weak.Lock());
      (void)stepper.Finish();
    }
    EXPECT_TRUE(weak.Lock());
    EXPECT_EQ(heap_->Unfreeze().value(), 1u);
    EXPECT_EQ(heap_->Collect().objects, 1u);
    EXPECT_FALSE(weak.Lock());
  }
}

TEST_F(FreezeTest, HeapEndsWithItsFrozenGarbage) {
  (void)MakeRing();
  EXPECT_EQ(Freeze(), 1u);
  testing::internal::CaptureStderr();
  heap_.reset();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(lives_.now(), 0);
}

// Freezes when it is destroyed.
struct Freezer {
  Freezer(Heap* target, absl::Status* out) : heap(target), answer(out) {}
  ~Freezer() { *answer = heap->Freeze().status(); }
  void Trace(Visitor& v) const { v.Visit(self); }
  Heap* heap;
  absl::Status* answer;
  Member<Freezer> self;
};

TEST_F(FreezeTest, RefusedInsideTheCollectionItWouldWaitFor) {
  absl::Status answer;
  {
    const Ref<Freezer> freezer = heap_->Make<Freezer>(heap_.get(), &answer);
    freezer->self = freezer;
  }
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(heap_->FreezeCount(), 0u);
  // Elsewhere it is allowed: in a counted death, and in another heap's collection.
  const std::unique_ptr<Heap> other = test::NewHeap();
  const Ref<Node> node = other->Make<Node>(lives_);
  {
    const Ref<Freezer> freezer = heap_->Make<Freezer>(other.get(), &answer);
    freezer->self = freezer;
  }
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_TRUE(answer.ok()) << answer;
  EXPECT_EQ(other->FreezeCount(), 1u);
  (void)heap_->Make<Freezer>(heap_.get(), &answer);
  EXPECT_TRUE(answer.ok()) << answer;
}

// Threads rearrange a graph while it is frozen, unfrozen and collected: nothing reachable goes,
// and at the end all goes.
TEST_F(FreezeTest, GraphSurvivesFreezingWhileItChanges) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  constexpr int kThreads = 3;
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(kThreads + 1, [&](int thread) {
      if (thread == kThreads) {
        for (int i = 0; i < 200 || collector.rounds() < 20; ++i) {
          EXPECT_TRUE((i % 3 == 2 ? heap_->Unfreeze() : heap_->Freeze()).ok());
        }
        return;
      }
      std::mt19937_64 random(seed + static_cast<uint64_t>(thread));
      std::vector<Ref<Node>> held(20);
      for (Ref<Node>& ref : held) ref = heap_->Make<Node>(lives_);
      for (size_t i = 0; i < test::Sized(200'000, 20'000); ++i) {
        Ref<Node>& from = held[test::Below(random, held.size())];
        Ref<Node>& to = held[test::Below(random, held.size())];
        switch (test::Below(random, 5)) {
          case 0:
            from->next = to;
            break;
          case 1:
            from->other = std::move(from->next);
            break;
          case 2:
            if (from->next) to = from->next;
            break;
          case 3:
            to->other = heap_->Make<Node>(lives_);
            break;
          default:
            to = heap_->Make<Node>(lives_);
        }
        // A short walk: whatever is reachable is whole. (Others only change what they hold.)
        const Node* at = held[i % held.size()].get();
        for (int step = 0; step < 8 && at != nullptr; ++step) {
          ASSERT_EQ(at->mark, 0x5eedu);
          at = step % 2 == 0 ? at->next.get() : at->other.get();
        }
      }
    });
  }
  (void)heap_->Unfreeze();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(heap_->Verify().ok());
}

}  // namespace
}  // namespace reef
