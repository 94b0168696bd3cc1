// Weak callbacks: when they are called, in which order, and when they are not.
#include <algorithm>
#include <array>
#include <atomic>
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
  Node(Lives& lives, Words* order_of_events) : life(lives), events(order_of_events) {}
  ~Node() { events->push_back("destructor"); }
  void Trace(Visitor& v) const { v.Visit(next); }

  Life life;
  Words* events;
  Member<Node> next;
  WeakCallback<Node> watch;  // of another object
};

class WeakCallbackTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode() { return heap_->Make<Node>(lives_, &events_); }
  std::function<void()> Note(std::string word) {
    return [this, word = std::move(word)] { events_.push_back(word); };
  }
  Words events_;
};

TEST_F(WeakCallbackTest, NewestFirstBetweenClearingAndDestructor) {
  Ref<Node> node = MakeNode();
  const Weak<Node> weak = node;
  const WeakCallback<Node> one(node, Note("one"));
  const WeakCallback<Node> two(
      node, [this, &weak] { events_.push_back(weak.Lock() ? "two, alive" : "two, gone"); });
  const WeakCallback<Node> three(node, Note("three"));
  EXPECT_EQ(three.Lock(), node);
  node.Reset();
  EXPECT_EQ(events_, Words({"three", "two, gone", "one", "destructor"}));
  EXPECT_FALSE(three.Lock());
}

TEST_F(WeakCallbackTest, TheSameInACycle) {
  Ref<Node> node = MakeNode();
  node->next = node;
  const WeakCallback<Node> one(node, Note("one"));
  const WeakCallback<Node> two(node, Note("two"));
  node.Reset();
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(events_, Words({"two", "one", "destructor"}));
}

TEST_F(WeakCallbackTest, NotIfTheHandleEndedFirst) {
  Ref<Node> node = MakeNode();
  { const WeakCallback<Node> gone(node, Note("gone")); }
  WeakCallback<Node> cancelled(node, Note("cancelled"));
  cancelled.Cancel();
  EXPECT_FALSE(cancelled);
  WeakCallback<Node> replaced(node, Note("replaced"));
  replaced = WeakCallback<Node>(node, Note("kept"));
  WeakCallback<Node> moved = std::move(replaced);
  node.Reset();
  EXPECT_EQ(events_, Words({"kept", "destructor"}));
}

TEST_F(WeakCallbackTest, OneCallbackMayEndAnother) {
  Ref<Node> node = MakeNode();
  WeakCallback<Node> first(node, Note("first"));
  const WeakCallback<Node> second(node, [this, &first] {
    events_.push_back("second");
    first.Cancel();
  });
  node.Reset();
  EXPECT_EQ(events_, Words({"second", "destructor"}));
}

TEST_F(WeakCallbackTest, UsedAgainRecordsKeepTheOrder) {
  Ref<Node> node = MakeNode();
  std::vector<WeakCallback<Node>> handles;
  for (int i = 0; i < 10; ++i) handles.emplace_back(node, Note("old" + std::to_string(i)));
  for (size_t i = 0; i < 10; i += 2) handles[i].Cancel();
  for (int i = 0; i < 5; ++i) handles.emplace_back(node, Note("new" + std::to_string(i)));
  node.Reset();
  EXPECT_EQ(events_, Words({"new4", "new3", "new2", "new1", "new0", "old9", "old7", "old5", "old3",
                            "old1", "destructor"}));
}

TEST_F(WeakCallbackTest, ShortLivedHandlesToALongLivedObjectUseNoMemory) {
  Ref<Node> node = MakeNode();
  const auto captured = std::make_shared<int>(1);
  for (int i = 0; i < 100'000; ++i) {
    const WeakCallback<Node> handle(node, [captured] {});
    ASSERT_EQ(captured.use_count(), 2);
  }
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_EQ(WeakCount(node), 0u);
}

TEST_F(WeakCallbackTest, HandleInTheSameGarbageIsNotCalled) {
  Ref<Node> one = MakeNode();
  Ref<Node> two = MakeNode();
  one->next = two;
  two->next = one;
  one->watch = WeakCallback<Node>(two, Note("watched from garbage"));
  const WeakCallback<Node> outside(two, Note("watched from outside"));
  one.Reset();
  two.Reset();
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_EQ(events_, Words({"watched from outside", "destructor", "destructor"}));
}

TEST_F(WeakCallbackTest, CapturesGoWithTheCall) {
  Ref<Node> node = MakeNode();
  auto captured = std::make_shared<int>(1);
  const WeakCallback<Node> handle(node, [captured] {});
  node.Reset();
  EXPECT_EQ(captured.use_count(), 1);
}

TEST_F(WeakCallbackTest, EmptyRefMakesAnEmptyHandle) {
  WeakCallback<Node> handle(Ref<Node>(), Note("never"));
  EXPECT_FALSE(handle);
  EXPECT_FALSE(handle.Lock());
  handle.Cancel();
}

Words g_reports;

void NoteReport(const Unraisable& what) {
  try {
    std::rethrow_exception(what.exception);
  } catch (const std::exception& exception) {
    g_reports.push_back(std::string(what.phase) + ": " + exception.what());
  }
}

TEST_F(WeakCallbackTest, ExceptionGoesToTheHookAndTheRestIsCalled) {
  g_reports.clear();
  const UnraisableHook before = SetUnraisableHook(&NoteReport);
  Ref<Node> node = MakeNode();
  const WeakCallback<Node> one(node, Note("one"));
  const WeakCallback<Node> two(node, [] { throw std::runtime_error("two"); });
  node.Reset();
  EXPECT_EQ(SetUnraisableHook(before), &NoteReport);
  EXPECT_EQ(events_, Words({"one", "destructor"}));
  EXPECT_EQ(g_reports, Words({"weak callback: two"}));
}

TEST_F(WeakCallbackTest, CallbackMayMakeDropAndWatch) {
  Ref<Node> node = MakeNode();
  Ref<Node> other = MakeNode();
  WeakCallback<Node> chained;
  const WeakCallback<Node> outer(node, [this, &other, &chained] {
    chained = WeakCallback<Node>(other, Note("chained"));
    events_.push_back("outer");
    other.Reset();
    (void)MakeNode();
  });
  node.Reset();
  EXPECT_EQ(events_.front(), "outer");
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "chained"), 1);
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "destructor"), 3);
}

TEST_F(WeakCallbackTest, ExecutorRunsThemLater) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = queue.Executor();
  auto heap = test::NewHeap(options);
  Ref<Node> node = heap->Make<Node>(lives_, &events_);
  WeakCallback<Node> one(node, Note("one"));
  const WeakCallback<Node> two(node, Note("two"));
  node.Reset();
  EXPECT_EQ(events_, Words({"destructor"}));
  EXPECT_EQ(queue.size(), 2u);
  one.Cancel();  // before its call
  EXPECT_EQ(queue.Drain(), 2u);
  EXPECT_EQ(events_, Words({"destructor", "two"}));
}

// What an object can say of its handles: how many there are, and how many functions it will call.
TEST_F(WeakCallbackTest, CountsThoseThatWillBeCalled) {
  EXPECT_EQ(CallbackCount(Ref<Node>()), 0u);
  Ref<Node> node = heap_->Make<Node>(lives_, &events_);
  EXPECT_EQ(CallbackCount(node), 0u);
  const Weak<Node> plain = node;
  EXPECT_EQ(CallbackCount(node), 0u);
  WeakCallback<Node> one(node, Note("one"));
  WeakCallback<Node> two(node, Note("two"));
  Finalizer finalizer(node, Note("finalizer"));
  EXPECT_EQ(CallbackCount(node), 3u);
  one.Cancel();
  (void)finalizer.Detach();
  EXPECT_EQ(CallbackCount(node), 1u);
  one = WeakCallback<Node>(node, Note("three"));
  EXPECT_EQ(CallbackCount(node), 2u);
  node.Reset();
  EXPECT_EQ(events_, Words({"three", "two", "destructor"}));
}

// Handles end on one thread while their object dies on another: each callback is called or not,
// once at most, and not after its handle's end has returned without it.
TEST_F(WeakCallbackTest, EachOnceUnderRaces) {
  constexpr size_t kHandles = 4;
  const size_t rounds = test::Sized(3000, 500);
  for (size_t round = 0; round < rounds; ++round) {
    Ref<int> object = heap_->Make<int>(1);
    std::array<std::atomic<int>, kHandles> calls{};
    std::vector<WeakCallback<int>> handles;
    for (auto& count : calls) handles.emplace_back(object, [&count] { count.fetch_add(1); });
    std::thread dropper([gone = std::move(object)]() mutable { gone.Reset(); });
    for (auto& handle : handles) handle.Cancel();
    dropper.join();
    (void)heap_->Collect();
    for (const auto& count : calls) ASSERT_LE(count.load(), 1);
  }
}

}  // namespace
}  // namespace reef
