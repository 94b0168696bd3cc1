// Cycles: found, reported exactly, destroyed once; what is still reachable stays. With one marker
// and with several.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
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
  ~Node() {
    if (out != nullptr && (next || other || !children.empty())) ++*out;
  }
  void Trace(Visitor& v) const { v.Visit(next, other, children, shared); }
  Life life;
  int value = 0;
  int* out = nullptr;  // counts destructors that still see an edge
  Member<Node> next;
  Member<Node> other;
  Vector<Node> children;
  AtomicMember<Node> shared;
};

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  Life life;
};
struct Twig {
  explicit Twig(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, leaf); }
  Life life;
  Member<Twig> next;
  Member<Leaf> leaf;
};
struct Holder {
  void Trace(Visitor& v) const { v.Visit(other, twig, leaf); }
  Member<Holder> other;
  Member<Twig> twig;
  Member<Leaf> leaf;
};

class CycleTest : public ::testing::TestWithParam<int> {
 protected:
  static HeapOptions Options() {
    HeapOptions options = test::QuietOptions();
    options.marker_threads = GetParam();
    return options;
  }
  void TearDown() override {
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }

  Ref<Node> MakeNode() { return heap_->Make<Node>(lives_); }
  // A ring of `length` nodes; returns one of them.
  Ref<Node> MakeRing(size_t length) {
    Ref<Node> first = MakeNode();
    Ref<Node> last = first;
    for (size_t i = 1; i < length; ++i) {
      Ref<Node> fresh = MakeNode();
      last->next = fresh;
      last = std::move(fresh);
    }
    last->next = first;
    return first;
  }

  Lives lives_;
  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};
INSTANTIATE_TEST_SUITE_P(Markers, CycleTest, ::testing::Values(1, 4));

TEST_P(CycleTest, CountingAloneKeepsACycle) {
  { const Ref<Node> ring = MakeRing(2); }
  EXPECT_EQ(lives_.ended(), 0);
}

TEST_P(CycleTest, TwoObjectsThatHoldEachOtherAreCollected) {
  uint64_t bytes = 0;
  {
    const Ref<Node> a = MakeNode();
    const Ref<Node> b = MakeNode();
    a->next = b;
    b->next = a;
    bytes = SizeOf(a) + SizeOf(b);
  }
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(report.objects, 2u);
  EXPECT_EQ(report.bytes, bytes);
  EXPECT_GE(report.cycles, 1u);
  EXPECT_EQ(report.aborted, 0u);
  EXPECT_EQ(lives_.ended(), 2);
}

TEST_P(CycleTest, ObjectThatHoldsItselfIsCollected) {
  {
    const Ref<Node> node = MakeNode();
    node->next = node;
    node->other = node;
  }
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(lives_.ended(), 1);
}

TEST_P(CycleTest, NothingToDoIsReportedAsNothing) {
  EXPECT_EQ(heap_->Collect().objects, 0u);
  const Ref<Node> node = MakeNode();
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(report.bytes, 0u);
  EXPECT_EQ(lives_.ended(), 0);
}

TEST_P(CycleTest, CollectedCyclesAreNotReportedTwice) {
  { const Ref<Node> ring = MakeRing(10); }
  EXPECT_EQ(heap_->Collect().objects, 10u);
  EXPECT_EQ(heap_->Collect().objects, 0u);
}

TEST_P(CycleTest, BigRingIsCollected) {
  const size_t length = test::Sized(1'000'000, 100'000);
  { const Ref<Node> ring = MakeRing(length); }
  EXPECT_EQ(heap_->Collect().objects, length);
  EXPECT_EQ(lives_.ended(), static_cast<int64_t>(length));
}

TEST_P(CycleTest, ManySmallRingsAreCollected) {
  const size_t rings = test::Sized(100'000, 10'000);
  for (size_t i = 0; i < rings; ++i) (void)MakeRing(3);
  EXPECT_EQ(heap_->Collect().objects, rings * 3);
}

TEST_P(CycleTest, RootAnywhereInTheRingKeepsItWhole) {
  Ref<Node> root = MakeRing(1000);
  for (int i = 0; i < 1000; ++i) {
    root->value = i;
    root = root->next;
  }
  root = root->next->next;  // 'root' is the third object now
  EXPECT_EQ(heap_->Collect().objects, 0u);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(root->value, (i + 2) % 1000);
    root = root->next;
  }
  EXPECT_EQ(RefCount(root), 3);
  root.Reset();
  EXPECT_EQ(heap_->Collect().objects, 1000u);
}

TEST_P(CycleTest, CycleThroughVectorsIsCollected) {
  {
    const Ref<Node> a = MakeNode();
    const Ref<Node> b = MakeNode();
    for (int i = 0; i < 10; ++i) {
      a->children.push_back(b);
      b->children.push_back(a);
    }
    EXPECT_EQ(heap_->Collect().objects, 0u);
    EXPECT_EQ(a->children.back(), b);
  }
  // Each vector's buffer is an object of its own.
  EXPECT_EQ(heap_->Collect().objects, 4u);
  EXPECT_EQ(lives_.ended(), 2);
}

TEST_P(CycleTest, CycleThroughAtomicMembersIsCollected) {
  {
    const Ref<Node> a = MakeNode();
    const Ref<Node> b = MakeNode();
    a->shared.Store(b);
    b->shared.Store(a);
    EXPECT_EQ(heap_->Collect().objects, 0u);
    EXPECT_EQ(a->shared.Load(), b);
  }
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_EQ(lives_.ended(), 2);
}

TEST_P(CycleTest, WhatOnlyACycleHoldsGoesWithIt) {
  Lives tail;
  {
    const Ref<Holder> a = heap_->Make<Holder>();
    const Ref<Holder> b = heap_->Make<Holder>();
    a->other = b;
    b->other = a;
    for (int i = 0; i < 100; ++i) {
      Ref<Twig> twig = heap_->Make<Twig>(tail);
      twig->leaf = heap_->Make<Leaf>(tail);
      twig->next = std::move(a->twig);
      a->twig = std::move(twig);
    }
  }
  EXPECT_EQ(tail.ended(), 0);
  // The leaves die by their counts, when the twigs let go of them.
  EXPECT_EQ(heap_->Collect().objects, 102u);
  EXPECT_EQ(tail.ended(), 200);
}

TEST_P(CycleTest, LeafHeldByGarbageAndByTheLivingStays) {
  Lives leaves;
  const Ref<Holder> living = heap_->Make<Holder>();
  living->leaf = heap_->Make<Leaf>(leaves);
  for (int i = 0; i < 10; ++i) {
    const Ref<Holder> garbage = heap_->Make<Holder>();
    garbage->other = garbage;
    garbage->leaf = living->leaf;
  }
  EXPECT_EQ(heap_->Collect().objects, 10u);
  EXPECT_EQ(RefCount(Ref<Leaf>(living->leaf)), 2);
  living->leaf = nullptr;
  EXPECT_EQ(leaves.ended(), 1);
}

TEST_P(CycleTest, GarbageLetsGoOfTheLivingExactly) {
  const Ref<Node> living = MakeNode();
  living->value = 42;
  for (int i = 0; i < 1000; ++i) {
    const Ref<Node> ring = MakeRing(2);
    ring->other = living;
    ring->next->children.push_back(living);
  }
  EXPECT_EQ(RefCount(living), 2002);
  EXPECT_EQ(heap_->Collect().objects, 3000u);
  EXPECT_EQ(RefCount(living), 2);
  EXPECT_EQ(living->value, 42);
}

TEST_P(CycleTest, DestructorsOfACycleFindItsEdgesEmpty) {
  int seen = 0;
  {
    const Ref<Node> ring = MakeRing(50);
    Node* node = ring.get();
    for (int i = 0; i < 50; ++i, node = node->next.get()) {
      node->out = &seen;
      node->other = ring;
    }
  }
  EXPECT_EQ(heap_->Collect().objects, 50u);
  EXPECT_EQ(seen, 0);
}

TEST_P(CycleTest, CyclesOfEndedThreadsAreCollected) {
  test::RunThreads(4, [&](int) {
    for (int i = 0; i < 500; ++i) (void)MakeRing(2);
  });
  EXPECT_EQ(heap_->Collect().objects, 4000u);
}

TEST_P(CycleTest, CycleWithARootOfAnotherThreadSurvives) {
  Ref<Node> kept;
  std::thread([&] { kept = MakeRing(100); }).join();
  EXPECT_EQ(heap_->Collect().objects, 0u);
  EXPECT_EQ(lives_.ended(), 0);
  EXPECT_EQ(RefCount(kept), 3);
  std::thread([&] { kept.Reset(); }).join();
  EXPECT_EQ(heap_->Collect().objects, 100u);
}

TEST_P(CycleTest, CycleCutByHandNeedsNoCollector) {
  {
    const Ref<Node> ring = MakeRing(100);
    ring->next = nullptr;
  }
  EXPECT_EQ(lives_.ended(), 100);
  EXPECT_EQ(heap_->Collect().objects, 0u);
}

TEST_P(CycleTest, CliqueIsCollected) {
  {
    std::vector<Ref<Node>> nodes;
    for (int i = 0; i < 60; ++i) nodes.push_back(MakeNode());
    for (const Ref<Node>& from : nodes) {
      for (const Ref<Node>& to : nodes) from->children.push_back(to);
    }
    nodes.resize(1);
    EXPECT_EQ(heap_->Collect().objects, 0u);
  }
  EXPECT_EQ(heap_->Collect().objects, 120u);
}

TEST_P(CycleTest, StatisticsAddUpTheReports) {
  const uint64_t before = heap_->Stats().collections;
  { const Ref<Node> ring = MakeRing(7); }
  const CollectionReport first = heap_->Collect();
  { const Ref<Node> ring = MakeRing(8); }
  const CollectionReport second = heap_->Collect();
  const HeapStats stats = heap_->Stats();
  EXPECT_EQ(stats.garbage_objects, 15u);
  EXPECT_EQ(stats.garbage_bytes, first.bytes + second.bytes);
  EXPECT_EQ(stats.collections - before, first.cycles + second.cycles);
  EXPECT_GT(second.total_time.count(), 0);
}

}  // namespace
}  // namespace reef
