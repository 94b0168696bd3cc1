// Wrong and unusual calls in and of what the engine calls back: what a program gets that makes
// them.
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
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
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};
struct Finalizable : Node {
  Finalizable(Lives& lives, std::function<void()> at_finalize)
      : Node(lives), on_finalize(std::move(at_finalize)) {}
  void Finalize(Ref<Finalizable> /*self*/) { on_finalize(); }
  std::function<void()> on_finalize;
};

class CallbackCallsTest : public test::QuietHeapTest {
 protected:
  std::unique_ptr<Heap> HeapWith(FinalizerExecutor executor) {
    HeapOptions options = test::QuietOptions();
    options.finalizer_executor = std::move(executor);
    return test::NewHeap(options);
  }
  // The death of an object with all three, counted or collected.
  void Kill(Heap& heap, bool cycle, const std::function<void()>& call) {
    Ref<Finalizable> node = heap.Make<Finalizable>(lives_, call);
    if (cycle) node->next = node;
    const WeakCallback<Finalizable> callback(node, call);
    const Finalizer finalizer(node, call);
    node.Reset();
    if (cycle) (void)heap.Collect();
  }
};

Heap* g_heap = nullptr;
std::atomic<int> g_refused{0};
void TryToCollect() {
  const absl::Status status = g_heap->TryCollect().status();
  if (absl::IsFailedPrecondition(status)) ++g_refused;
}

TEST_F(CallbackCallsTest, CollectIsRefusedInAllThatTheEngineCalls) {
  for (const bool cycle : {false, true}) {
    SCOPED_TRACE(cycle ? "collected" : "counted");
    g_heap = heap_.get();
    g_refused = 0;
    Kill(*heap_, cycle, &TryToCollect);
    EXPECT_EQ(g_refused, 3);
    // An executor and its tasks, which it runs at once.
    auto heap = HeapWith([](FinalizerTask task) {
      TryToCollect();
      task();
    });
    g_heap = heap.get();
    g_refused = 0;
    Kill(*heap, cycle, &TryToCollect);
    EXPECT_EQ(g_refused, 6);
    // The unraisable hook.
    g_refused = 0;
    const UnraisableHook before = SetUnraisableHook([](const Unraisable&) { TryToCollect(); });
    Kill(*heap_, cycle, [] { throw std::runtime_error("for the hook"); });
    SetUnraisableHook(before);
    EXPECT_EQ(g_refused, 3);
  }
}

TEST_F(CallbackCallsTest, ATaskOnAThreadOfTheProgramRefusesToo) {
  FinalizerQueue queue;
  auto heap = HeapWith(queue.Executor());
  g_heap = heap.get();
  g_refused = 0;
  Kill(*heap, false, &TryToCollect);
  while (queue.Drain() != 0) {
  }
  EXPECT_EQ(g_refused, 2) << "the weak callback's handle has ended";
  EXPECT_TRUE(heap->TryCollect().ok());
}

TEST_F(CallbackCallsTest, ATaskRunsOnceHoweverItIsCalled) {
  std::vector<FinalizerTask> tasks;
  auto heap = HeapWith([&tasks](FinalizerTask task) { tasks.push_back(std::move(task)); });
  int calls = 0;
  for (int i = 0; i < 3; ++i) heap->Make<Finalizable>(lives_, [&calls] { ++calls; }).Reset();
  ASSERT_EQ(tasks.size(), 3u);
  FinalizerTask moved = std::move(tasks[0]);
  tasks[0]();  // NOLINT(bugprone-use-after-move): says that it does nothing
  EXPECT_EQ(calls, 0);
  moved();
  moved();
  EXPECT_EQ(calls, 1);
  moved = std::move(tasks[1]);
  moved();
  EXPECT_EQ(calls, 2);
  tasks.clear();
  EXPECT_EQ(calls, 3) << "its destructor is the last call";
}

TEST_F(CallbackCallsTest, AQueueThatEndsRunsWhatItHolds) {
  int calls = 0;
  auto queue = std::make_unique<FinalizerQueue>();
  auto heap = HeapWith(queue->Executor());
  heap->Make<Finalizable>(lives_, [&calls] { ++calls; }).Reset();
  EXPECT_EQ(queue->size(), 1u);
  heap.reset();  // the object waits: it is left over, and a warning says so
  queue.reset();
  EXPECT_EQ(calls, 1);
}

// Tasks that come of what it runs at its end are run as well.
TEST_F(CallbackCallsTest, AQueueThatEndsRunsWhatComesOfIt) {
  struct Chained {
    Chained(Lives& lives, int& calls_so_far, Ref<Chained> behind)
        : life(lives), calls(calls_so_far), next(std::move(behind)) {}
    void Trace(Visitor& v) const { v.Visit(next); }
    void Finalize(const Ref<Chained>&) { ++calls; }
    Life life;
    int& calls;
    Member<Chained> next;
  };
  int calls = 0;
  auto queue = std::make_unique<FinalizerQueue>();
  auto heap = HeapWith(queue->Executor());
  Ref<Chained> chain;
  for (int i = 0; i < 5; ++i) chain = heap->Make<Chained>(lives_, calls, std::move(chain));
  chain.Reset();
  EXPECT_EQ(queue->size(), 1u);
  heap.reset();
  queue.reset();
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(CallbackCallsTest, TasksRunInsideAReadScope) {
  FinalizerQueue queue;
  auto heap = HeapWith(queue.Executor());
  AtomicRef<Node> cell(heap_->Make<Node>(lives_));
  int calls = 0;
  heap->Make<Finalizable>(lives_,
                          [&] {
                            ++calls;
                            cell.Store(nullptr);
                          })
      .Reset();
  {
    const ReadScope scope;
    const Node* seen = cell.Peek(scope);
    EXPECT_EQ(queue.Drain(), 1u);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(lives_.now(), 1) << "the scope holds what the task has dropped";
    EXPECT_FALSE(seen->next);
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

}  // namespace
}  // namespace reef
