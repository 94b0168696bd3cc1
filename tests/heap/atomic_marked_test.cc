// AtomicMarkedMember: pointer and mark change together, the counts follow the pointer alone, and
// the collector follows it whatever the mark.

#include "reef/atomic_marked.h"

#include <cstddef>
#include <cstdint>
#include <random>
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

struct Node {
  explicit Node(Lives& lives, uint64_t number = 0) : life(lives), value(number) {}
  ~Node() { value = ~uint64_t{0}; }
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Life life;
  uint64_t value;
  AtomicMarkedMember<Node> next;
  AtomicMarkedMember<Node> other;
};

static_assert(sizeof(AtomicMarkedMember<Node>) == sizeof(void*));
static_assert(!std::is_copy_constructible_v<AtomicMarkedMember<Node>>);
static_assert(!std::is_move_constructible_v<AtomicMarkedMember<Node>>);
static_assert(AtomicMarkedMember<Node>::kMaxMark == 3);

class AtomicMarkedTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode(uint64_t value = 0) { return heap_->Make<Node>(lives_, value); }

  const Ref<Node> holder_ = MakeNode();
  AtomicMarkedMember<Node>& edge_ = holder_->next;

  void TearDown() override {
    const_cast<Ref<Node>&>(holder_).Reset();
    QuietHeapTest::TearDown();
  }
};

TEST_F(AtomicMarkedTest, StartsEmptyAndUnmarked) {
  const ReadScope scope;
  EXPECT_EQ(edge_.Peek(scope), Marked<Node>{});
  EXPECT_EQ(edge_.Load(), MarkedRef<Node>{});
}

TEST_F(AtomicMarkedTest, MarkTravelsWithThePointer) {
  const ReadScope scope;
  for (uint32_t mark = 0; mark <= 3; ++mark) {
    const Ref<Node> node = MakeNode();
    edge_.Store(node, mark);
    EXPECT_EQ(edge_.Peek(scope), (Marked<Node>{node.get(), mark}));
    EXPECT_EQ(edge_.Load(), (MarkedRef<Node>{node, mark}));
    EXPECT_EQ(RefCount(node), 3) << "this one, the edge's and the argument";
    EXPECT_EQ(edge_.Exchange(nullptr, 3 - mark), (MarkedRef<Node>{node, mark}));
    EXPECT_EQ(RefCount(node), 2);
    EXPECT_EQ(edge_.Load(), (MarkedRef<Node>{nullptr, 3 - mark})) << "nothing, marked";
  }
}

struct Born {
  Born(Ref<Node> target, uint32_t mark) : edge(std::move(target), mark) {}
  void Trace(Visitor& v) const { v.Visit(edge); }
  AtomicMarkedMember<Node> edge;
};

TEST_F(AtomicMarkedTest, BornWithATargetAndAMark) {
  const ReadScope scope;
  for (uint32_t mark = 0; mark <= 3; ++mark) {
    const Ref<Node> node = MakeNode();
    const Ref<Born> born = heap_->Make<Born>(node, mark);
    EXPECT_EQ(born->edge.Load(), (MarkedRef<Node>{node, mark}));
    EXPECT_EQ(RefCount(node), 3);
    const Ref<Born> empty = heap_->Make<Born>(nullptr, mark);
    EXPECT_EQ(empty->edge.Peek(scope), (Marked<Node>{nullptr, mark}));
  }
}

TEST_F(AtomicMarkedTest, CompareExchangeComparesPointerAndMark) {
  const Ref<Node> one = MakeNode();
  const Ref<Node> two = MakeNode();
  edge_.Store(one, 1);
  const ReadScope scope;
  Marked<Node> expected{one.get(), 0};
  EXPECT_FALSE(edge_.CompareExchange(scope, expected, two, 2)) << "another mark";
  EXPECT_EQ(expected, (Marked<Node>{one.get(), 1}));
  expected.pointer = two.get();
  EXPECT_FALSE(edge_.CompareExchangeWeak(scope, expected, two, 2)) << "another pointer";
  EXPECT_EQ(expected, (Marked<Node>{one.get(), 1}));
  EXPECT_EQ(RefCount(one), 3);
  EXPECT_EQ(RefCount(two), 2);
  EXPECT_TRUE(edge_.CompareExchange(scope, expected, two, 2));
  EXPECT_EQ(edge_.Peek(scope), (Marked<Node>{two.get(), 2}));
  EXPECT_EQ(RefCount(one), 2);
  EXPECT_EQ(RefCount(two), 3);
}

TEST_F(AtomicMarkedTest, CompareExchangeWithCountedExpectation) {
  const Ref<Node> one = MakeNode();
  const Ref<Node> two = MakeNode();
  MarkedRef<Node> expected;
  EXPECT_TRUE(edge_.CompareExchange(expected, one, 3));
  EXPECT_FALSE(edge_.CompareExchangeWeak(expected, two));
  EXPECT_EQ(expected, (MarkedRef<Node>{one, 3}));
  EXPECT_EQ(RefCount(one), 4);
  EXPECT_TRUE(edge_.CompareExchangeWeak(expected, two));
  EXPECT_EQ(edge_.Load(), (MarkedRef<Node>{two, 0}));
  EXPECT_EQ(RefCount(one), 3);
}

TEST_F(AtomicMarkedTest, SameTargetMayBeStoredAgain) {
  const Ref<Node> node = MakeNode();
  const ReadScope scope;
  Marked<Node> expected;
  for (uint32_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(edge_.CompareExchange(scope, expected, node, i % 4));
    expected = edge_.Peek(scope);
    EXPECT_EQ(expected, (Marked<Node>{node.get(), i % 4}));
    EXPECT_EQ(RefCount(node), 3);
  }
}

TEST_F(AtomicMarkedTest, CompareExchangeMarkTouchesNoCount) {
  const Ref<Node> node = MakeNode();
  edge_.Store(node);
  const ReadScope scope;
  Marked<Node> expected{node.get(), 1};
  EXPECT_FALSE(edge_.CompareExchangeMark(scope, expected, 2));
  EXPECT_EQ(expected, (Marked<Node>{node.get(), 0}));
  EXPECT_TRUE(edge_.CompareExchangeMark(scope, expected, 2));
  EXPECT_EQ(edge_.Peek(scope), (Marked<Node>{node.get(), 2}));
  EXPECT_EQ(RefCount(node), 3);
  edge_.Store(nullptr);
  EXPECT_EQ(RefCount(node), 2);
  expected = {};
  EXPECT_TRUE(edge_.CompareExchangeMark(scope, expected, 1)) << "of nothing, too";
  EXPECT_EQ(edge_.Peek(scope), (Marked<Node>{nullptr, 1}));
}

TEST_F(AtomicMarkedTest, EndOfTheHolderDropsTheTargetWhateverItsMark) {
  for (uint32_t mark = 0; mark <= 3; ++mark) {
    Ref<Node> holder = MakeNode();
    holder->next.Store(MakeNode(), mark);
    holder->other.Store(nullptr, mark);
    holder.Reset();
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 1; })) << "mark " << mark;
  }
}

TEST_F(AtomicMarkedTest, MarkedEdgesKeepTheirTargetsAlive) {
  for (uint32_t mark = 0; mark <= 3; ++mark) {
    edge_.Store(MakeNode(mark), mark);
    edge_.Load().ref->next.Store(MakeNode(mark + 10), 3 - mark);
    EXPECT_EQ(heap_->Collect().objects, 0u);
    EXPECT_EQ(edge_.Load().ref->value, mark);
    EXPECT_EQ(edge_.Load().ref->next.Load().ref->value, mark + 10);
    EXPECT_TRUE(heap_->Verify().ok()) << heap_->Verify();
  }
}

TEST_F(AtomicMarkedTest, CyclesOfMarkedEdgesAreCollected) {
  for (uint32_t mark = 0; mark <= 3; ++mark) {
    const Ref<Node> living = MakeNode();
    {
      const Ref<Node> one = MakeNode();
      const Ref<Node> two = MakeNode();
      one->next.Store(two, mark);
      two->next.Store(one, 3 - mark);
      one->other.Store(nullptr, mark);
      two->other.Store(living, mark);
    }
    EXPECT_EQ(heap_->Collect().objects, 2u) << "mark " << mark;
    EXPECT_EQ(lives_.now(), 2);
    EXPECT_EQ(RefCount(living), 2) << "the garbage let go of it";
  }
}

// While a constructor or a destructor runs, the collector scans the object's words. What only a
// marked edge in there holds must survive.
struct HalfMade {
  HalfMade(Heap& its_heap, Lives& lives, uint32_t mark) : heap(&its_heap) {
    edge.Store(its_heap.Make<Node>(lives, mark), mark);
    CollectElsewhere();
  }
  ~HalfMade() { CollectElsewhere(); }
  void Trace(Visitor& v) const { v.Visit(edge); }
  void CollectElsewhere() {
    std::thread([this] { EXPECT_EQ(heap->Collect().objects, 0u); }).join();
    const MarkedRef<Node> held = edge.Load();
    EXPECT_EQ(held.ref->value, held.mark);
  }
  Heap* heap;
  AtomicMarkedMember<Node> edge;
};

TEST_F(AtomicMarkedTest, TargetsOfHalfMadeObjectsSurvive) {
  for (uint32_t mark = 0; mark <= 3; ++mark) {
    Ref<HalfMade> half = heap_->Make<HalfMade>(*heap_, lives_, mark);
    EXPECT_EQ(lives_.now(), 2);
    half.Reset();
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 1; }));
  }
}

// Threads replace pointers and marks of the same edges while collections run: at the end every
// count is exact (Verify), and nothing is left.
TEST_F(AtomicMarkedTest, CountsStayExactUnderContentionAndCollections) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::vector<Ref<Node>> holders;
  for (int i = 0; i < 4; ++i) holders.push_back(MakeNode());
  const test::ConstantCollector collector(*heap_);
  test::RunThreads(4, [&](int thread) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(thread));
    for (size_t i = 0; i < test::Sized(60'000, 4'000); ++i) {
      const Ref<Node>& holder = holders[test::Below(random, holders.size())];
      const auto mark = static_cast<uint32_t>(random() % 4);
      const ReadScope scope;
      AtomicMarkedMember<Node>& edge = random() % 2 == 0 ? holder->next : holder->other;
      Marked<Node> seen = edge.Peek(scope);
      switch (test::Below(random, 6)) {
        case 0:
          edge.Store(MakeNode(i), mark);
          break;
        case 1:
          (void)edge.CompareExchangeMark(scope, seen, mark);
          break;
        case 2:
          (void)edge.CompareExchange(scope, seen, MakeNode(i), mark);
          break;
        case 3:  // re-attaches what it peeked at, and may make cycles
          (void)holder->other.CompareExchange(scope, seen, TryRef(scope, seen.pointer), mark);
          break;
        case 4:
          if (Ref<Node> node = edge.Exchange(nullptr, mark).ref) {
            node->next.Store(random() % 2 == 0 ? node : edge.Load().ref, mark);
          }
          break;
        default:
          if (const MarkedRef<Node> loaded = edge.Load(); loaded.ref) {
            EXPECT_NE(loaded.ref->value, ~uint64_t{0});
          }
          break;
      }
      if (seen.pointer != nullptr) {
        EXPECT_NE(seen.pointer->value, ~uint64_t{0});
      }
    }
  });
}

}  // namespace
}  // namespace reef
