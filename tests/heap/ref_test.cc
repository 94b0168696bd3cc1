// Ref<T> as a value: exact counts, conversions, comparison and hashing.

#include "reef/ref.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <type_traits>
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

struct Box {
  Box(Lives& lives, int number) : life(lives), value(number) {}
  Ref<Box> Self() { return RefTo(this); }

  Life life;
  int value;
};

// No virtual destructor: the engine knows the whole type.
struct Shape {
  int corners = 0;
};
struct Square : Shape {
  explicit Square(Lives& lives) : life(lives) { corners = 4; }
  Life life;
};

static_assert(sizeof(Ref<Box>) == sizeof(void*));
static_assert(std::is_nothrow_move_constructible_v<Ref<Box>>);
static_assert(std::is_convertible_v<Ref<Square>, Ref<Shape>>);
static_assert(!std::is_convertible_v<Ref<Shape>, Ref<Square>>);
static_assert(!std::is_convertible_v<Ref<Box>, Ref<Shape>>);
static_assert(!std::is_convertible_v<Ref<const Box>, Ref<Box>>);
static_assert(!std::is_constructible_v<Ref<Box>, Box*>);

using RefTest = test::QuietHeapTest;

TEST_F(RefTest, EmptyRefIsFalseAndCountsNothing) {
  const Ref<Box> empty;
  const Ref<Box> null = nullptr;
  EXPECT_FALSE(empty);
  EXPECT_EQ(empty.get(), nullptr);
  EXPECT_EQ(empty, nullptr);
  EXPECT_EQ(empty, null);
  EXPECT_EQ(RefCount(empty), 0);
  EXPECT_EQ(SizeOf(empty), 0u);
}

TEST_F(RefTest, RefCountIncludesItsArgument) {
  Ref<Box> box = heap_->Make<Box>(lives_, 7);
  EXPECT_EQ(box->value, 7);
  EXPECT_EQ((*box).value, 7);
  EXPECT_EQ(RefCount(box), 2);
  EXPECT_EQ(RefCount(std::move(box)), 1);
}

TEST_F(RefTest, CopyAddsOneAndDropTakesOne) {
  const Ref<Box> box = heap_->Make<Box>(lives_, 1);
  {
    const Ref<Box> copy = box;  // NOLINT(performance-unnecessary-copy-initialization)
    EXPECT_EQ(copy, box);
    EXPECT_EQ(RefCount(box), 3);
    Ref<Box> assigned;
    assigned = copy;
    EXPECT_EQ(RefCount(box), 4);
    assigned.Reset();
    EXPECT_EQ(RefCount(box), 3);
    assigned.Reset();
    EXPECT_EQ(RefCount(box), 3);
  }
  EXPECT_EQ(RefCount(box), 2);
}

TEST_F(RefTest, MoveLeavesTheCountAndEmptiesTheSource) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  Ref<Box> moved = std::move(box);
  EXPECT_FALSE(box);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(RefCount(moved), 2);
  box = std::move(moved);
  EXPECT_FALSE(moved);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(RefCount(box), 2);
}

TEST_F(RefTest, SelfAssignmentChangesNothing) {
  Ref<Box> box = heap_->Make<Box>(lives_, 5);
  Ref<Box>& same = box;
  box = same;
  EXPECT_EQ(RefCount(box), 2);
  box = std::move(same);
  ASSERT_TRUE(box);
  EXPECT_EQ(box->value, 5);
  EXPECT_EQ(RefCount(box), 2);
  box.Swap(same);
  EXPECT_EQ(RefCount(box), 2);
}

TEST_F(RefTest, SwapExchangesTargetsWithoutCounting) {
  Ref<Box> one = heap_->Make<Box>(lives_, 1);
  Ref<Box> two = heap_->Make<Box>(lives_, 2);
  one.Swap(two);
  EXPECT_EQ(one->value, 2);
  EXPECT_EQ(two->value, 1);
  std::swap(one, two);
  EXPECT_EQ(one->value, 1);
  EXPECT_EQ(RefCount(one), 2);
  EXPECT_EQ(RefCount(two), 2);
}

TEST_F(RefTest, RefToThisCountsAsAnyOther) {
  const Ref<Box> box = heap_->Make<Box>(lives_, 1);
  const Ref<Box> self = box->Self();
  EXPECT_EQ(self, box);
  EXPECT_EQ(RefCount(box), 3);
  EXPECT_EQ(RefTo<Box>(nullptr), nullptr);
}

TEST_F(RefTest, ConversionToBaseSharesTheCount) {
  Ref<Square> square = heap_->Make<Square>(lives_);
  Ref<Shape> copied = square;
  EXPECT_EQ(copied->corners, 4);
  EXPECT_EQ(RefCount(square), 3);
  const Ref<Shape> moved = std::move(square);
  EXPECT_FALSE(square);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(RefCount(moved), 3);
  EXPECT_EQ(copied, moved);
  const Ref<const Shape> constant = std::move(copied);
  EXPECT_EQ(constant->corners, 4);
  EXPECT_EQ(RefCount(constant), 3);
  EXPECT_EQ(Ref<Shape>(Ref<Square>()), nullptr);
}

TEST_F(RefTest, DropThroughBaseRunsTheWholeDestructor) {
  Ref<Shape> shape = heap_->Make<Square>(lives_);
  EXPECT_EQ(lives_.now(), 1);
  shape.Reset();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(RefTest, StaticRefCastGoesBackToTheDerivedType) {
  const Ref<Shape> shape = heap_->Make<Square>(lives_);
  const Ref<Square> square = StaticRefCast<Square>(shape);
  EXPECT_EQ(square.get(), shape.get());
  EXPECT_EQ(RefCount(square), 3);
  EXPECT_EQ(StaticRefCast<Square>(Ref<Shape>()), nullptr);
}

TEST_F(RefTest, ComparesByIdentity) {
  const Ref<Box> one = heap_->Make<Box>(lives_, 3);
  const Ref<Box> two = heap_->Make<Box>(lives_, 3);
  const Ref<Box> same = one;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_TRUE(one == same);
  EXPECT_TRUE(one != two);
  EXPECT_FALSE(one < same);
  EXPECT_NE(one < two, two < one);
  EXPECT_EQ(one < two, std::less<>()(static_cast<const void*>(one.get()), two.get()));
  EXPECT_TRUE(nullptr != one);
  const Ref<Square> square = heap_->Make<Square>(lives_);
  EXPECT_TRUE(Ref<Shape>(square) == square);
}

TEST_F(RefTest, WorksAsKeyOfStdContainers) {
  const Ref<Box> one = heap_->Make<Box>(lives_, 1);
  const Ref<Box> two = heap_->Make<Box>(lives_, 2);
  std::unordered_set<Ref<Box>> hashed = {one, two, one};
  EXPECT_EQ(hashed.size(), 2u);
  EXPECT_EQ(hashed.count(two), 1u);
  const std::set<Ref<Box>> ordered = {two, one, two};
  EXPECT_EQ(ordered.size(), 2u);
  std::map<Ref<Box>, int> mapped;
  mapped[one] += 1;
  mapped[one] += 1;
  EXPECT_EQ(mapped[one], 2);
  // Each container holds one of each; `mapped` only `one`.
  EXPECT_EQ(RefCount(one), 5);
  EXPECT_EQ(RefCount(two), 4);
  hashed.erase(two);
  EXPECT_EQ(RefCount(two), 3);
}

// Stands in for Abseil's hash state.
struct Recorder {
  static Recorder combine(Recorder state, const void* part) {
    state.parts.push_back(part);
    return state;
  }
  std::vector<const void*> parts;
};

TEST_F(RefTest, AbslHashTakesTheAddressAndNothingElse) {
  const Ref<Box> box = heap_->Make<Box>(lives_, 1);
  const Recorder state = AbslHashValue(Recorder(), box);
  EXPECT_EQ(state.parts, std::vector<const void*>({box.get()}));
  EXPECT_EQ(std::hash<Ref<Box>>()(box), std::hash<const void*>()(box.get()));
}

TEST_F(RefTest, ImmortalObjectSurvivesItsLastRef) {
  // On the default heap, which outlives everything: the object will never go.
  static Lives lives;
  static Lives child_lives;
  struct Elder {
    explicit Elder(Lives& l) : life(l) {}
    void Trace(Visitor& v) const { v.Visit(child, itself); }
    Life life;
    Member<Box> child;
    Member<Elder> itself;
  };
  Ref<Elder> elder = Make<Elder>(lives);
  elder->child = Make<Box>(child_lives, 11);
  elder->itself = elder;
  MakeImmortal(elder);
  Elder* plain = elder.get();
  {
    const std::vector<Ref<Elder>> copies(5000, elder);
    EXPECT_EQ(copies.back(), elder);
  }
  elder.Reset();
  (void)DefaultHeap().Collect();
  EXPECT_EQ(lives.now(), 1);
  EXPECT_EQ(child_lives.now(), 1);
  EXPECT_EQ(plain->child->value, 11);
  EXPECT_EQ(RefTo(plain), plain->itself);
  MakeImmortal(Ref<Elder>());
}

}  // namespace
}  // namespace reef
