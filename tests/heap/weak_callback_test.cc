// Weak callbacks: when they are called, in which order, and when they are not.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
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

// Handles end on one thread while their object dies on another: each function is called, or has
// ended with its handle, never both and never neither. (Its captures tell: they go with it.)
TEST_F(WeakCallbackTest, EachOnceUnderRaces) {
  struct Fate {
    std::atomic<int> calls{0};
    std::atomic<bool> gone{false};
  };
  struct Captured {
    explicit Captured(Fate* whose) : fate(whose) {}
    ~Captured() { fate->gone = true; }
    Fate* fate;
  };
  constexpr size_t kHandles = 5;
  const size_t rounds = test::Sized(3000, 500);
  for (size_t round = 0; round < rounds; ++round) {
    Ref<int> object = heap_->Make<int>(1);
    std::array<Fate, kHandles> fates;
    std::vector<WeakCallback<int>> handles;
    for (Fate& fate : fates) {
      handles.emplace_back(object, [captured = std::make_shared<Captured>(&fate)] {
        if (captured->fate->gone) std::abort();
        ++captured->fate->calls;
      });
    }
    std::atomic<bool> may_drop{false};
    std::thread dropper([gone = std::move(object), &may_drop]() mutable {
      may_drop.wait(false);
      gone.Reset();
    });
    std::array<bool, kHandles> ended{};
    const auto cancel = [&](size_t i) {
      handles[i].Cancel();
      // Gone, and not by a call, which comes first.
      ended[i] = fates[i].gone && fates[i].calls == 0;
    };
    cancel(0);  // before the drop
    ASSERT_TRUE(ended[0]);
    may_drop = true;
    may_drop.notify_one();
    for (size_t i = 1; i < kHandles; ++i) cancel(i);
    dropper.join();
    (void)heap_->Collect();
    for (size_t i = 0; i < kHandles; ++i) ASSERT_EQ(fates[i].calls, ended[i] ? 0 : 1) << i;
  }
}

// What a handle in its own object's destructor gets: reef/weak.h.
struct Watcher {
  explicit Watcher(Lives& lives) : life(lives) {}
  ~Watcher() {
    const WeakCallback<Watcher> watch(RefTo(this), [] { std::abort(); });
    if (watch) std::abort();
    const Finalizer finalizer(RefTo(this), [] { std::abort(); });
    if (finalizer.alive()) std::abort();
  }
  Life life;
};

#if REEF_IS_CHECKED
TEST_F(WeakCallbackTest, InADestructorTheRefIsAMisuse) {
  EXPECT_DEATH(heap_->Make<Watcher>(lives_).Reset(),
               "a Ref to an object that is being constructed or destroyed");
}
#else
TEST_F(WeakCallbackTest, InADestructorTheHandleIsEmpty) {
  heap_->Make<Watcher>(lives_).Reset();
  EXPECT_EQ(lives_.now(), 0);
}
#endif

// The captures that keep their own object alive keep it for ever, until the handle ends.
TEST_F(WeakCallbackTest, CapturesThatKeepTheObject) {
  Ref<Node> node = MakeNode();
  WeakCallback<Node> handle(node, [node] {});
  node.Reset();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 1);
  handle.Cancel();
  EXPECT_EQ(lives_.now(), 0);
}

// A handle that lies outside of the traced objects of the garbage, though that alone refers to it.
TEST_F(WeakCallbackTest, HandleInAContainerOfTheSameGarbageIsCalled) {
  struct Holder {
    explicit Holder(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(node); }
    Life life;
    Member<Node> node;
    std::vector<WeakCallback<Node>> watches;
  };
  Ref<Node> node = MakeNode();
  node->next = node;
  Ref<Holder> holder = heap_->Make<Holder>(lives_);
  holder->node = node;
  holder->watches.emplace_back(node, Note("watched from a container"));
  // The holder is garbage with the ring.
  struct Knot {
    void Trace(Visitor& v) const { v.Visit(self, holder); }
    Member<Knot> self;
    Member<Holder> holder;
  };
  Ref<Knot> knot = heap_->Make<Knot>();
  knot->self = knot;
  knot->holder = std::move(holder);
  knot.Reset();
  node.Reset();
  EXPECT_EQ(heap_->Collect().objects, 3u);
  EXPECT_EQ(events_, Words({"watched from a container", "destructor"}));
}

}  // namespace
}  // namespace reef
