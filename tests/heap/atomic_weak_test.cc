// AtomicWeak: handles that many threads load, lock and replace.
#include <array>
#include <atomic>
#include <random>
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
  explicit Node(Lives& lives, size_t own_number = 0) : life(lives), number(own_number) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  size_t number;
  Member<Node> next;
};

constinit AtomicWeak<Node> g_weak;

class AtomicWeakTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode(size_t number = 0) { return heap_->Make<Node>(lives_, number); }
};

static_assert(sizeof(AtomicWeak<Node>) == sizeof(void*));

TEST_F(AtomicWeakTest, KeepsNothingAlive) {
  EXPECT_FALSE(g_weak.Lock());
  EXPECT_EQ(g_weak.Load(), Weak<Node>());
  Ref<Node> node = MakeNode(5);
  g_weak.Store(node);
  EXPECT_EQ(WeakCount(node), 1u);
  EXPECT_EQ(g_weak.Lock(), node);
  EXPECT_EQ(g_weak.Load(), Weak<Node>(node));
  EXPECT_EQ(RefCount(node), 2);
  EXPECT_EQ(WeakCount(node), 1u);
  node.Reset();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_FALSE(g_weak.Lock());
  EXPECT_NE(g_weak.Load(), Weak<Node>()) << "a handle of a dead object is no empty one";
  g_weak.Store(nullptr);
  EXPECT_EQ(g_weak.Load(), Weak<Node>());
}

TEST_F(AtomicWeakTest, ExchangeHandsOverWhatItHeld) {
  const Ref<Node> one = MakeNode();
  const Ref<Node> two = MakeNode();
  AtomicWeak<Node> cell{Weak<Node>(one)};
  EXPECT_EQ(cell.Exchange(two).Lock(), one);
  EXPECT_EQ(WeakCount(one), 0u);
  EXPECT_EQ(WeakCount(two), 1u);
  EXPECT_EQ(cell.Exchange(two).Lock(), two);
  EXPECT_EQ(cell.Exchange(nullptr).Lock(), two);
  EXPECT_EQ(cell.Exchange(one), Weak<Node>());
  EXPECT_EQ(WeakCount(two), 0u);
}

TEST_F(AtomicWeakTest, CompareExchangeComparesObjects) {
  Ref<Node> one = MakeNode();
  const Ref<Node> two = MakeNode();
  AtomicWeak<Node> cell;
  Weak<Node> expected = two;
  EXPECT_FALSE(cell.CompareExchange(expected, one));
  EXPECT_EQ(expected, Weak<Node>());
  EXPECT_TRUE(cell.CompareExchange(expected, one));
  EXPECT_FALSE(cell.CompareExchangeWeak(expected, two));
  EXPECT_EQ(expected, Weak<Node>(one));
  EXPECT_EQ(WeakCount(one), 2u);
  one.Reset();
  // The dead object's handles are equal still.
  EXPECT_TRUE(cell.CompareExchangeWeak(expected, two));
  EXPECT_EQ(cell.Lock(), two);
  EXPECT_EQ(WeakCount(two), 1u);
}

TEST_F(AtomicWeakTest, CellsComeBackWhenTheLastHandleGoes) {
  const uint64_t before = DefaultHeap().Stats().raw_blocks;
  {
    AtomicWeak<Node> cell;
    for (int i = 0; i < 100; ++i) cell.Store(MakeNode());
    EXPECT_LE(DefaultHeap().Stats().raw_blocks, before + 1);
  }
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, before);
}

TEST_F(AtomicWeakTest, LivesInsideManagedObjects) {
  struct Child {
    explicit Child(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(child); }
    Life life;
    Member<Child> child;
    AtomicWeak<Child> parent;
  };
  const Ref<Child> parent = heap_->Make<Child>(lives_);
  {
    const Ref<Child> child = heap_->Make<Child>(lives_);
    child->parent.Store(parent);
    parent->child = child;
  }
  EXPECT_EQ(parent->child->parent.Lock(), parent);
}

// As Weak: null is final, and what is locked before the door closes is kept.
TEST_F(AtomicWeakTest, LocksAgainstACollection) {
  for (const Step step : {Step::kLogging, Step::kBornBlack, Step::kMarked, Step::kDoorClosed,
                          Step::kCondemned, Step::kDoorOpen, Step::kCleared}) {
    SCOPED_TRACE(static_cast<int>(step));
    AtomicWeak<Node> cell;
    {
      const Ref<Node> node = MakeNode();
      node->next = node;
      cell.Store(node);
    }
    Ref<Node> locked;
    {
      Stepper stepper(*heap_);
      ASSERT_TRUE(stepper.RunTo(step));
      locked = cell.Lock();
      EXPECT_EQ(static_cast<bool>(locked), step < Step::kDoorClosed);
      (void)stepper.Finish();
    }
    EXPECT_EQ(cell.Lock(), locked);
    locked.Reset();
    (void)heap_->Collect();
    EXPECT_FALSE(cell.Lock());
  }
}

// Threads pass handles through a few cells. A handle leads to the object it was made for, or to
// nothing; at the end no handle is left over, and none was freed under a reader.
TEST_F(AtomicWeakTest, ManyThreadsLoadLockAndReplace) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t steps = test::Sized(100'000, 10'000);
  constexpr size_t kObjects = 6;
  const uint64_t before = DefaultHeap().Stats().raw_blocks;
  {
    std::array<AtomicWeak<Node>, 3> cells;
    std::array<AtomicRef<Node>, kObjects> objects;
    for (size_t i = 0; i < kObjects; ++i) objects[i].Store(MakeNode(i));
    test::RunThreads(4, [&](int self) {
      std::mt19937_64 random(seed + static_cast<uint64_t>(self));
      for (size_t i = 0; i < steps; ++i) {
        AtomicWeak<Node>& cell = cells[test::Below(random, cells.size())];
        const size_t number = test::Below(random, kObjects);
        switch (random() % 8) {
          case 0: {
            const Ref<Node> object = objects[number].Load();
            ASSERT_EQ(object->number, number);
            cell.Store(object);
            break;
          }
          case 1:
            cells[test::Below(random, cells.size())].Store(cell.Exchange(nullptr));
            break;
          case 2: {
            const Weak<Node> same = cell.Load();
            Weak<Node> expected = same;
            const bool stored = cell.CompareExchange(expected, objects[number].Load());
            if (stored) {
              ASSERT_EQ(expected, same);
            }
            break;
          }
          case 3:
            if (random() % 16 == 0) objects[number].Store(MakeNode(number));
            break;
          case 4:
            if (const Ref<Node> locked = cell.Lock()) {
              ASSERT_LT(locked->number, kObjects);
            }
            break;
          default:
            const Weak<Node> loaded = cell.Load();
            if (const Ref<Node> locked = loaded.Lock()) {
              ASSERT_EQ(Weak<Node>(locked), loaded);
            }
        }
      }
    });
    for (AtomicRef<Node>& object : objects) object.Store(nullptr);
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, before) << "a cell was lost, or freed twice";
}

// A counter of successful exchanges: each takes the value of the one before, so a chain of objects
// built by CompareExchange has no gap and no fork.
TEST_F(AtomicWeakTest, CompareExchangeIsOneStep) {
  const size_t each = test::Sized(20'000, 3'000);
  AtomicWeak<Node> last;
  const Ref<Node> first = MakeNode(0);
  last.Store(first);
  std::array<std::vector<Ref<Node>>, 3> kept;
  test::RunThreads(3, [&](int self) {
    auto& mine = kept[static_cast<size_t>(self)];
    mine.reserve(each);
    for (size_t i = 0; i < each; ++i) {
      Ref<Node> next = MakeNode();
      Weak<Node> expected = last.Load();
      do {
        // All are kept, so every handle can be locked.
        next->number = expected.Lock()->number + 1;
      } while (!last.CompareExchangeWeak(expected, next));
      mine.push_back(std::move(next));
    }
  });
  EXPECT_EQ(last.Lock()->number, 3 * each);
  std::vector<bool> seen(3 * each + 1);
  for (const auto& mine : kept) {
    for (const Ref<Node>& node : mine) {
      EXPECT_FALSE(seen[node->number]);
      seen[node->number] = true;
    }
  }
}

}  // namespace
}  // namespace reef
