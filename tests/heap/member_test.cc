// Member<T>: assignment in all forms, counts, and lists that are cut by moving their own links.

#include "reef/member.h"

#include <cstdint>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Item {
  Item(Lives& lives, int number) : life(lives), value(number) {}
  Life life;
  int value;
};
struct SpecialItem : Item {
  SpecialItem(Lives& lives, int number) : Item(lives, number), extra(number * 2) {}
  int extra;
};

struct Pair {
  Pair() = default;
  explicit Pair(Ref<Item> initial) : first(std::move(initial)) {}
  Pair(const Ref<Item>& a, const Member<Item>& b) : first(a), second(b) {}
  void Trace(Visitor& v) const { v.Visit(first, second); }
  Member<Item> first;
  Member<Item> second;
};

struct Node {
  Node(Lives& lives, int number) : life(lives), value(number) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  int value;
  Member<Node> next;
};

static_assert(sizeof(Member<Item>) == sizeof(void*));
static_assert(std::is_nothrow_move_assignable_v<Member<Item>>);
static_assert(std::is_convertible_v<Ref<SpecialItem>, Member<Item>>);
static_assert(!std::is_convertible_v<Ref<Item>, Member<SpecialItem>>);

class MemberTest : public test::QuietHeapTest {
 protected:
  Ref<Item> MakeItem(int value) { return heap_->Make<Item>(lives_, value); }

  // A list of `length` nodes with the values 0, 1, 2, ...
  Ref<Node> MakeList(int length) {
    Ref<Node> head;
    for (int i = length - 1; i >= 0; --i) {
      Ref<Node> fresh = heap_->Make<Node>(lives_, i);
      fresh->next = std::move(head);
      head = std::move(fresh);
    }
    return head;
  }

  void TearDown() override {
    pair_.Reset();
    QuietHeapTest::TearDown();
  }

  Ref<Pair> pair_ = heap_->Make<Pair>();
};

TEST_F(MemberTest, StartsEmpty) {
  EXPECT_FALSE(pair_->first);
  EXPECT_EQ(pair_->first.get(), nullptr);
  EXPECT_EQ(pair_->first, nullptr);
  EXPECT_EQ(Ref<Item>(pair_->first), nullptr);
}

TEST_F(MemberTest, StoredRefIsCountedOnce) {
  Ref<Item> item = MakeItem(3);
  pair_->first = item;
  EXPECT_EQ(RefCount(item), 3);
  EXPECT_EQ(pair_->first, item);
  EXPECT_EQ(pair_->first->value, 3);
  EXPECT_EQ((*pair_->first).value, 3);
  pair_->first = item;
  EXPECT_EQ(RefCount(item), 3);
  pair_->second = pair_->first;
  EXPECT_EQ(RefCount(item), 4);
  EXPECT_EQ(pair_->first, pair_->second);
  pair_->first = nullptr;
  pair_->second.Reset();
  EXPECT_EQ(RefCount(item), 2);
}

TEST_F(MemberTest, MovedRefHandsItsReferenceOver) {
  Ref<Item> item = MakeItem(3);
  const Ref<Item> watch = item;
  pair_->first = std::move(item);
  EXPECT_FALSE(item);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(RefCount(watch), 3);
  const Ref<Pair> other = heap_->Make<Pair>(Ref<Item>(watch));
  EXPECT_EQ(RefCount(watch), 4);
}

TEST_F(MemberTest, MovedRefToTheCurrentTargetLeavesOneEdge) {
  Ref<Item> item = MakeItem(3);
  const Ref<Item> watch = item;
  pair_->first = item;
  pair_->first = std::move(item);
  EXPECT_EQ(RefCount(watch), 3);
}

TEST_F(MemberTest, ConstructorsTakeRefsAndMembers) {
  const Ref<Item> item = MakeItem(1);
  pair_->first = item;
  const Ref<Pair> other = heap_->Make<Pair>(item, pair_->first);
  EXPECT_EQ(other->first, other->second);
  EXPECT_EQ(RefCount(item), 5);
}

TEST_F(MemberTest, MovedMemberIsEmptyAndTheCountStays) {
  const Ref<Item> item = MakeItem(1);
  pair_->first = item;
  pair_->second = std::move(pair_->first);
  EXPECT_FALSE(pair_->first);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(pair_->second, item);
  EXPECT_EQ(RefCount(item), 3);
  pair_->second = std::move(pair_->first);
  EXPECT_FALSE(pair_->second);
  EXPECT_EQ(RefCount(item), 2);
}

TEST_F(MemberTest, SelfAssignmentChangesNothing) {
  pair_->first = MakeItem(1);
  Member<Item>& same = pair_->first;
  pair_->first = same;
  pair_->first = std::move(same);
  pair_->first = Ref<Item>(same);
  ASSERT_TRUE(pair_->first);
  EXPECT_EQ(lives_.ended(), 0);
  EXPECT_EQ(RefCount(Ref<Item>(pair_->first)), 2);
}

TEST_F(MemberTest, ThreeMovesExchangeTargets) {
  const Ref<Item> one = MakeItem(1);
  const Ref<Item> two = MakeItem(2);
  pair_->first = one;
  pair_->second = two;
  Ref<Item> held = pair_->first.Take();
  pair_->first = std::move(pair_->second);
  pair_->second = std::move(held);
  EXPECT_EQ(pair_->first, two);
  EXPECT_EQ(pair_->second, one);
  EXPECT_EQ(RefCount(one), 3);
  EXPECT_EQ(RefCount(two), 3);
}

TEST_F(MemberTest, TakeEmptiesTheEdgeAndKeepsTheObject) {
  pair_->first = MakeItem(4);
  const Ref<Item> taken = pair_->first.Take();
  EXPECT_FALSE(pair_->first);
  EXPECT_EQ(taken->value, 4);
  EXPECT_EQ(RefCount(taken), 2);
  EXPECT_EQ(pair_->first.Take(), nullptr);
}

TEST_F(MemberTest, RefOfDerivedTypeConverts) {
  Ref<SpecialItem> special = heap_->Make<SpecialItem>(lives_, 21);
  pair_->first = special;
  pair_->second = std::move(special);
  EXPECT_EQ(StaticRefCast<SpecialItem>(Ref<Item>(pair_->second))->extra, 42);
  EXPECT_EQ(RefCount(Ref<const Item>(pair_->first)), 3);
}

TEST_F(MemberTest, ConstTargetsAreEdgesToo) {
  struct Reader {
    void Trace(Visitor& v) const { v.Visit(item); }
    Member<const Item> item;
  };
  const Ref<Reader> reader = heap_->Make<Reader>();
  reader->item = MakeItem(6);
  EXPECT_EQ(reader->item->value, 6);
  const Ref<const Item> root = reader->item;
  EXPECT_EQ(RefCount(root), 3);
}

TEST_F(MemberTest, CopyFromTheOldTargetsOwnLink) {
  const Ref<Node> list = MakeList(4);
  list->next = list->next->next;
  EXPECT_EQ(lives_.now(), 3);
  EXPECT_EQ(list->next->value, 2);
  EXPECT_EQ(list->next->next->value, 3);
}

// The source lies in the object that the assignment lets go.
TEST_F(MemberTest, MoveFromTheOldTargetsOwnLink) {
  const Ref<Node> list = MakeList(4);
  list->next = std::move(list->next->next);
  EXPECT_EQ(lives_.now(), 3);
  ASSERT_TRUE(list->next);
  EXPECT_EQ(list->next->value, 2);
  ASSERT_TRUE(list->next->next);
  EXPECT_EQ(list->next->next->value, 3);
}

TEST_F(MemberTest, ListIsEmptiedFromTheFrontByMoves) {
  const int length = 1000;
  const Ref<Node> list = MakeList(length);
  for (int i = 1; i < length; ++i) {
    ASSERT_TRUE(list->next);
    ASSERT_EQ(list->next->value, i);
    list->next = std::move(list->next->next);
    ASSERT_EQ(lives_.now(), length - i);
  }
  EXPECT_FALSE(list->next);
}

TEST_F(MemberTest, ListIsReversedInPlace) {
  const Ref<Node> holder = heap_->Make<Node>(lives_, -1);
  Ref<Node> rest = MakeList(1000);
  while (rest) {
    Ref<Node> after = rest->next.Take();
    rest->next = std::move(holder->next);
    holder->next = std::move(rest);
    rest = std::move(after);
  }
  int expected = 999;
  for (const Node* node = holder->next.get(); node != nullptr; node = node->next.get()) {
    ASSERT_EQ(node->value, expected--);
  }
  EXPECT_EQ(expected, -1);
  EXPECT_EQ(lives_.now(), 1001);
}

TEST_F(MemberTest, PlainPartsWithTheirOwnTraceAreVisited) {
  struct Part {
    void Trace(Visitor& v) const { v.Visit(item); }
    Member<Item> item;
  };
  struct Whole {
    void Trace(Visitor& v) const { v.Visit(one, two, self); }
    Part one;
    Part two;
    Member<Whole> self;
  };
  {
    const Ref<Whole> whole = heap_->Make<Whole>();
    whole->one.item = MakeItem(1);
    whole->two.item = MakeItem(2);
    whole->self = whole;
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 2);
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

}  // namespace
}  // namespace reef
