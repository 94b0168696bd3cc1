// Finalizers: once, on an intact graph, before weak handles are cleared; resurrection; both paths.
#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
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
using Words = std::vector<std::string>;

struct Node {
  Node(Lives& lives, Words* order_of_events, std::string own_name)
      : life(lives), events(order_of_events), name(std::move(own_name)) {}
  ~Node() { events->push_back("~" + name); }
  void Trace(Visitor& v) const { v.Visit(left, right); }
  void Finalize(Ref<Node> self) {
    std::string seen = "finalize " + name;
    if (left) seen += ">" + left->name;
    if (weak.Lock()) seen += ", locked";
    events->push_back(seen);
    if (on_finalize) on_finalize(std::move(self));
  }

  Life life;
  Words* events;
  std::string name;
  Member<Node> left;
  Member<Node> right;
  Weak<Node> weak;
  std::function<void(Ref<Node>)> on_finalize;
};

class FinalizerTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode(const std::string& name, Heap* heap = nullptr) {
    Ref<Node> node = (heap == nullptr ? *heap_ : *heap).Make<Node>(lives_, &events_, name);
    node->weak = node;
    return node;
  }
  Words events_;
};

TEST_F(FinalizerTest, RunsBeforeTheStatementEndsWithWeakHandlesAlive) {
  Ref<Node> node = MakeNode("a");
  EXPECT_FALSE(IsFinalized(node));
  const Weak<Node> weak = node;
  node.Reset();
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a"}));
  EXPECT_FALSE(weak.Lock());
}

TEST_F(FinalizerTest, ParentsBeforeChildrenOnTheCountingPath) {
  Ref<Node> node = MakeNode("a");
  node->left = MakeNode("b");
  node->left->left = MakeNode("c");
  node.Reset();
  EXPECT_EQ(events_, Words({"finalize a>b, locked", "~a", "finalize b>c, locked", "~b",
                            "finalize c, locked", "~c"}));
}

TEST_F(FinalizerTest, AllOfACycleBeforeAnyDestructor) {
  Ref<Node> node = MakeNode("a");
  node->left = MakeNode("b");
  node->left->left = node;
  node->right = MakeNode("c");
  node.Reset();
  EXPECT_TRUE(events_.empty());
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(report.finalized, 3u);
  EXPECT_EQ(lives_.now(), 0) << "Collect returned before the cycle was gone";
  ASSERT_EQ(events_.size(), 6u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(events_[i].substr(0, 8), "finalize") << i;
  for (size_t i = 3; i < 6; ++i) EXPECT_EQ(events_[i][0], '~') << i;
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "finalize a>b, locked"), 1);
}

TEST_F(FinalizerTest, ResurrectedOnceThenGone) {
  Ref<Node> saved;
  Ref<Node> node = MakeNode("a");
  node->on_finalize = [&saved](Ref<Node> self) { saved = std::move(self); };
  const Weak<Node> weak = node;
  node.Reset();
  ASSERT_TRUE(saved);
  EXPECT_TRUE(IsFinalized(saved));
  EXPECT_EQ(lives_.now(), 1);
  EXPECT_EQ(weak.Lock(), saved);
  saved->on_finalize = nullptr;
  saved.Reset();
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a"}));
}

TEST_F(FinalizerTest, RearmedRunsAgain) {
  Ref<Node> saved;
  Ref<Node> node = MakeNode("a");
  node->on_finalize = [&saved](Ref<Node> self) { saved = std::move(self); };
  node.Reset();
  RearmFinalizer(saved);
  EXPECT_FALSE(IsFinalized(saved));
  saved->on_finalize = nullptr;
  saved.Reset();
  EXPECT_EQ(events_, Words({"finalize a, locked", "finalize a, locked", "~a"}));
}

TEST_F(FinalizerTest, OneMemberOfACycleResurrectsTheRest) {
  Ref<Node> saved;
  Ref<Node> node = MakeNode("a");
  node->left = MakeNode("b");
  node->left->left = node;
  node->left->on_finalize = [&saved](Ref<Node> self) { saved = std::move(self); };
  const Weak<Node> weak = node;
  node.Reset();
  EXPECT_EQ(heap_->Collect().objects, 0u);
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->left->left.get(), saved.get());
  EXPECT_EQ(weak.Lock(), Ref<Node>(saved->left));
  EXPECT_EQ(lives_.now(), 2);
  saved->on_finalize = nullptr;
  saved.Reset();
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "finalize a>b, locked"), 1);
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "finalize b>a, locked"), 1);
}

TEST_F(FinalizerTest, ReachableFromADyingFinalizerIsIntact) {
  // A garbage cycle without finalizers that hangs on one with: whole when the finalizer looks.
  struct Plain {
    explicit Plain(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(next); }
    Life life;
    Member<Plain> next;
  };
  struct Owner {
    explicit Owner(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(self, plain); }
    void Finalize(Ref<Owner>) { *whole = plain && plain->next.get() == plain.get(); }
    Life life;
    Member<Owner> self;
    Member<Plain> plain;
    bool* whole = nullptr;
  };
  bool whole = false;
  Ref<Owner> owner = heap_->Make<Owner>(lives_);
  owner->whole = &whole;
  owner->self = owner;
  owner->plain = heap_->Make<Plain>(lives_);
  owner->plain->next = owner->plain;
  owner.Reset();
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_TRUE(whole);
}

Words g_reports;
void NoteReport(const Unraisable& what) {
  try {
    std::rethrow_exception(what.exception);
  } catch (const std::exception& exception) {
    g_reports.push_back(std::string(what.phase) + ": " + exception.what());
    if (std::string(what.type_name).find("Node") == std::string::npos) g_reports.push_back("type?");
    if (what.object == nullptr) g_reports.push_back("object?");
  }
}

TEST_F(FinalizerTest, ExceptionGoesToTheHookAndTheObjectDies) {
  g_reports.clear();
  const UnraisableHook before = SetUnraisableHook(&NoteReport);
  Ref<Node> node = MakeNode("a");
  node->on_finalize = [](Ref<Node>) { throw std::runtime_error("no"); };
  node.Reset();
  SetUnraisableHook(before);
  EXPECT_EQ(g_reports, Words({"finalizer: no"}));
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a"}));
}

TEST_F(FinalizerTest, BornInFinalizersAndDestructorsAreOrdinary) {
  Ref<Node> node = MakeNode("a");
  node->on_finalize = [this](Ref<Node> self) { self->right = MakeNode("born"); };
  node.Reset();
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a", "finalize born, locked", "~born"}));
}

TEST_F(FinalizerTest, CollectIsRefusedInside) {
  Ref<Node> node = MakeNode("a");
  bool refused = false;
  node->on_finalize = [this, &refused](Ref<Node>) { refused = !heap_->TryCollect().ok(); };
  node.Reset();
  EXPECT_TRUE(refused);
}

struct Link {
  explicit Link(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(Ref<Link> self) { self->next.Reset(); }
  Life life;
  Member<Link> next;
};

TEST_F(FinalizerTest, LongChainOfFinalizersDoesNotRecurse) {
  const size_t length = test::Sized(1'000'000, 100'000);
  Ref<Link> head;
  for (size_t i = 0; i < length; ++i) {
    Ref<Link> link = heap_->Make<Link>(lives_);
    link->next = std::move(head);
    head = std::move(link);
  }
  head.Reset();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(FinalizerTest, AnotherThreadsLastDropRunsItToo) {
  Ref<Node> node = MakeNode("a");
  std::thread([gone = std::move(node)]() mutable { gone.Reset(); }).join();
  (void)heap_->Collect();
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a"}));
}

TEST_F(FinalizerTest, SharedObjectsRunItOnTheDroppingThread) {
  Ref<Node> node = heap_->Make<Node>(lives_, &events_, "a");
  std::thread([gone = std::move(node).Share(), this]() mutable {
    gone.Reset();
    EXPECT_EQ(events_, Words({"finalize a", "~a"}));
  }).join();
  EXPECT_EQ(events_.size(), 2u);
}

TEST_F(FinalizerTest, ExecutorTakesBothPaths) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = queue.Executor();
  auto heap = test::NewHeap(options);
  {
    Ref<Node> counted = MakeNode("counted", heap.get());
    Ref<Node> cycle = MakeNode("cycle", heap.get());
    cycle->left = cycle;
  }
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(heap->Collect().finalized, 1u);
  EXPECT_TRUE(events_.empty()) << "run by the collector thread";
  EXPECT_EQ(queue.Drain(), 2u);
  EXPECT_EQ(events_,
            Words({"finalize counted, locked", "~counted", "finalize cycle>cycle, locked"}));
  (void)heap->Collect();
  EXPECT_EQ(events_.back(), "~cycle");
}

TEST_F(FinalizerTest, TaskThatIsDroppedRuns) {
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = [](FinalizerTask) {};
  auto heap = test::NewHeap(options);
  { Ref<Node> node = MakeNode("a", heap.get()); }
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a"}));
}

TEST_F(FinalizerTest, ThrowingExecutorLosesNothing) {
  g_reports.clear();
  const UnraisableHook before =
      SetUnraisableHook([](const Unraisable& what) { g_reports.push_back(what.phase); });
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = [](FinalizerTask) { throw std::runtime_error("full"); };
  auto heap = test::NewHeap(options);
  { Ref<Node> node = MakeNode("a", heap.get()); }
  SetUnraisableHook(before);
  EXPECT_EQ(events_, Words({"finalize a, locked", "~a"}));
  EXPECT_EQ(g_reports, Words({"finalizer executor"}));
}

}  // namespace
}  // namespace reef
