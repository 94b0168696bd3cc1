// In which order finalizers, callbacks, destructors and members go, on both paths of death.
#include <algorithm>
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
using Words = std::vector<std::string>;

struct Leaf {
  Leaf(Lives& lives, Words* order_of_events) : life(lives), events(order_of_events) {}
  ~Leaf() { events->push_back("~leaf"); }
  Life life;
  Words* events;
};

struct Node {
  Node(Lives& lives, Words* order_of_events, std::string own_name)
      : life(lives), events(order_of_events), name(std::move(own_name)) {}
  ~Node() { events->push_back("~" + name); }
  void Trace(Visitor& v) const { v.Visit(next, leaf); }
  void Finalize(Ref<Node> self) {
    events->push_back("finalize " + name);
    if (on_finalize) on_finalize(*self);
  }

  Life life;
  Words* events;
  std::string name;
  Member<Node> next;
  Member<Leaf> leaf;
  std::function<void(Node&)> on_finalize;
};

class FinalizerOrderTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode(const std::string& name, Heap* heap = nullptr) {
    return (heap == nullptr ? *heap_ : *heap).Make<Node>(lives_, &events_, name);
  }
  // A ring of so many, whose finalizers take it apart where it hangs together.
  void MakeBreakingRing(int length, Heap* heap = nullptr) {
    const Ref<Node> first = MakeNode("0", heap);
    Ref<Node> last = first;
    for (int i = 1; i < length; ++i) {
      last->next = MakeNode(std::to_string(i), heap);
      last = last->next;
    }
    last->next = first;
    for (Node* node = first.get();; node = node->next.get()) {
      node->on_finalize = [](Node& self) {
        if (self.next) self.next->next.Reset();
      };
      if (node->next == first) break;
    }
  }
  void ExpectFinalizersFirst(size_t count) const {
    ASSERT_EQ(events_.size(), 2 * count);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(events_[i].substr(0, 8), "finalize") << i;
    for (size_t i = count; i < 2 * count; ++i) EXPECT_EQ(events_[i][0], '~') << i;
  }
  Words events_;
};

// The first finalizer leaves nothing that keeps the others: they run all the same, on whole
// objects.
TEST_F(FinalizerOrderTest, AllOfACycleBeforeAnyDestructorThoughTheyBreakIt) {
  for (const int length : {2, 3, 10}) {
    SCOPED_TRACE(length);
    events_.clear();
    MakeBreakingRing(length);
    EXPECT_EQ(heap_->Collect().finalized, static_cast<uint64_t>(length));
    EXPECT_EQ(lives_.now(), 0);
    ExpectFinalizersFirst(static_cast<size_t>(length));
  }
}

// What a finalizer makes and drops waits as well, and its own finalizer comes with the others.
TEST_F(FinalizerOrderTest, WhatIsBornInFinalizersOfACycleWaitsForThemAll) {
  MakeBreakingRing(2);
  Ref<Node> third = MakeNode("third");
  third->next = third;
  third->on_finalize = [this](Node&) { (void)MakeNode("born"); };
  third.Reset();
  EXPECT_EQ(heap_->Collect().finalized, 3u);
  EXPECT_EQ(lives_.now(), 0);
  ExpectFinalizersFirst(4);
}

// An executor's task ends with the drop of its object: each for itself.
TEST_F(FinalizerOrderTest, AnExecutorsTasksAreEachForThemselves) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = queue.Executor();
  auto heap = test::NewHeap(options);
  MakeBreakingRing(2, heap.get());
  (void)heap->Collect();
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(queue.Drain(), 2u);
  const auto first_end = std::find_if(events_.begin(), events_.end(),
                                      [](const std::string& word) { return word[0] == '~'; });
  EXPECT_EQ(first_end - events_.begin(), 1)
      << "a task waited for the others: say so in finalizer.h";
  (void)heap->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

// The whole order in one list: reef/weak.h.
TEST_F(FinalizerOrderTest, OfADeath) {
  for (const bool cycle : {false, true}) {
    SCOPED_TRACE(cycle ? "collected" : "counted");
    events_.clear();
    Ref<Node> node = MakeNode("node");
    node->leaf = heap_->Make<Leaf>(lives_, &events_);
    if (cycle) node->next = node;
    const Weak<Node> weak = node;
    const auto note = [this, &weak](std::string word) {
      return [this, &weak, word = std::move(word)] {
        events_.push_back(weak.Lock() ? word + ", locked" : word);
      };
    };
    node->on_finalize = [&](Node&) { note("in it")(); };
    const WeakCallback<Node> older(node, note("older"));
    const Finalizer between(node, note("finalizer handle"));
    const WeakCallback<Node> newer(node, note("newer"));
    node.Reset();
    if (cycle) (void)heap_->Collect();
    Words expected{"finalize node", "in it, locked", "newer", "finalizer handle", "older"};
    const Words end = cycle ? Words{"~leaf", "~node"} : Words{"~node", "~leaf"};
    expected.insert(expected.end(), end.begin(), end.end());
    EXPECT_EQ(events_, expected);
  }
}

// Resurrection of another object than the one that is finalized, on each path.
TEST_F(FinalizerOrderTest, OneMayBringAnotherBack) {
  for (const bool cycle : {false, true}) {
    SCOPED_TRACE(cycle ? "collected" : "counted");
    events_.clear();
    Ref<Node> saved;
    Ref<Node> node = MakeNode("a");
    node->next = MakeNode("b");
    if (cycle) node->next->next = node;
    node->on_finalize = [&saved](Node& self) { saved = self.next; };
    const Weak<Node> gone = node;
    node.Reset();
    if (cycle) (void)heap_->Collect();
    ASSERT_TRUE(saved);
    EXPECT_EQ(saved->name, "b");
    // In a cycle its finalizer was due as well, and it leads to the other.
    EXPECT_EQ(IsFinalized(saved), cycle);
    EXPECT_EQ(gone.Lock() != nullptr, cycle);
    saved->next.Reset();
    saved.Reset();
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    EXPECT_EQ(std::count(events_.begin(), events_.end(), "finalize b"), 1);
  }
}

}  // namespace
}  // namespace reef
