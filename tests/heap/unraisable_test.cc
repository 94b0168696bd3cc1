// Exceptions through every function that the engine calls where nobody could catch them: what the
// hook is told, and that all goes on. And through those where somebody can.
#include "reef/unraisable.h"

#include <atomic>
#include <cstdint>
#include <cstdio>
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
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
  uint64_t mark = 0x5ee5;
};
struct Finalizable : Node {
  using Node::Node;
  void Finalize(Ref<Finalizable> /*self*/) { throw std::runtime_error("finalize"); }
};

// What the hook was told: phase, exception, and whether type and object are as they must be.
struct Told {
  std::string what;
  bool of_a_node = false;
  uint64_t mark = 0;
  std::thread::id thread;
};
std::vector<Told> g_told;

void Note(const Unraisable& what) {
  Told told{.what = std::string(what.phase) + ": ", .thread = std::this_thread::get_id()};
  try {
    std::rethrow_exception(what.exception);
  } catch (const std::exception& exception) {
    told.what += exception.what();
  } catch (...) {
    told.what += "?";
  }
  told.of_a_node = std::string(what.type_name).find("Node") != std::string::npos;
  if (what.object != nullptr) told.mark = static_cast<const Node*>(what.object)->mark;
  g_told.push_back(std::move(told));
}

void Throw(const char* what) { throw std::runtime_error(what); }

class UnraisableTest : public test::QuietHeapTest {
 protected:
  UnraisableTest() { g_told.clear(); }
  ~UnraisableTest() override { SetUnraisableHook(before_); }

  Ref<Node> MakeNode(Heap& heap) { return heap.Make<Node>(lives_); }
  Ref<Node> MakeRing(Heap& heap) {
    Ref<Node> node = MakeNode(heap);
    node->next = node;
    return node;
  }
  static void Drop(Ref<Node> node) { node.Reset(); }

  const UnraisableHook before_ = SetUnraisableHook(&Note);
};

TEST_F(UnraisableTest, CallbacksAndFinalizersNameTheirWholeObject) {
  for (const bool cycle : {false, true}) {
    SCOPED_TRACE(cycle ? "collected" : "counted");
    g_told.clear();
    Ref<Node> node = cycle ? MakeRing(*heap_) : MakeNode(*heap_);
    const Finalizer finalizer(node, [] { Throw("f"); });
    const WeakCallback<Node> callback(node, [] { Throw("c"); });
    Drop(std::move(node));
    (void)heap_->Collect();
    ASSERT_EQ(g_told.size(), 2u);
    EXPECT_EQ(g_told[0].what, "weak callback: c");
    EXPECT_EQ(g_told[1].what, "finalizer handle: f");
    for (const Told& told : g_told) {
      EXPECT_TRUE(told.of_a_node);
      EXPECT_EQ(told.mark, 0x5ee5u);
      EXPECT_EQ(told.thread != std::this_thread::get_id(), cycle);
    }
  }
}

// A record that is used again is the new handle's.
TEST_F(UnraisableTest, NamesTheKindOfTheLastHandle) {
  Ref<Node> node = MakeNode(*heap_);
  {
    const WeakCallback<Node> gone(node, [] {});
  }
  const Finalizer finalizer(node, [] { Throw("f"); });
  Drop(std::move(node));
  ASSERT_EQ(g_told.size(), 1u);
  EXPECT_EQ(g_told[0].what, "finalizer handle: f");
}

// By an executor the object may have gone: its type is left.
TEST_F(UnraisableTest, ExecutorsTasksNameTheType) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = queue.Executor();
  auto heap = test::NewHeap(options);
  Ref<Node> node = MakeNode(*heap);
  const WeakCallback<Node> callback(node, [] { Throw("c"); });
  Drop(std::move(node));
  EXPECT_EQ(queue.Drain(), 1u);
  ASSERT_EQ(g_told.size(), 1u);
  EXPECT_TRUE(g_told[0].of_a_node);
  EXPECT_EQ(g_told[0].mark, 0u);
}

TEST_F(UnraisableTest, ThrowingExecutorOnTheCollectingPath) {
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = [](FinalizerTask) { Throw("full"); };
  auto heap = test::NewHeap(options);
  {
    const Ref<Finalizable> node = heap->Make<Finalizable>(lives_);
    node->next = node;
  }
  int called = 0;
  const WeakCallback<Node> callback(MakeRing(*heap), [&called] { ++called; });
  EXPECT_EQ(heap->Collect().finalized, 1u);
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(called, 1);
  // The task ran first: it goes with the executor's argument.
  Words told;
  for (const Told& one : g_told) told.push_back(one.what);
  EXPECT_EQ(told,
            Words({"finalizer executor: full", "finalizer: finalize", "finalizer executor: full"}));
}

TEST_F(UnraisableTest, CollectionCallbackThatThrowsAtTheStopOnly) {
  int stops = 0;
  const CollectionCallback callback = heap_->OnCollection([&stops](const CollectionEvent& event) {
    if (event.moment == CollectionEvent::Moment::kStop && ++stops == 1) throw 7;
  });
  (void)heap_->Collect();
  const int first = stops;
  (void)heap_->Collect();
  EXPECT_GE(first, 1);
  EXPECT_GT(stops, first) << "called no more";
  ASSERT_EQ(g_told.size(), 1u);
  EXPECT_EQ(g_told[0].what, "collection callback: ?");
}

// --- the hook itself ---

std::string DefaultReport(UnraisableHook hook, const std::function<void()>& raise) {
  SetUnraisableHook(hook);
  ::testing::internal::CaptureStderr();
  raise();
  return ::testing::internal::GetCapturedStderr();
}

TEST_F(UnraisableTest, WhatTheHookThrowsIsReportedByTheDefaultWithWhatItWasTold) {
  const std::string report = DefaultReport([](const Unraisable&) { Throw("the hook's"); },
                                           [this] { heap_->Make<Finalizable>(lives_).Reset(); });
  EXPECT_EQ(lives_.now(), 0);
  const size_t first = report.find("exception ignored in an unraisable hook: the hook's");
  const size_t second = report.find("exception ignored in a finalizer of ");
  ASSERT_NE(first, std::string::npos) << report;
  ASSERT_NE(second, std::string::npos) << report;
  EXPECT_LT(first, second);
  EXPECT_NE(report.find("Finalizable: finalize\n"), std::string::npos) << report;
}

TEST_F(UnraisableTest, WhatIsNoStdExceptionIsReportedAsSuch) {
  const std::string report = DefaultReport(nullptr, [this] {
    Ref<Node> node = MakeNode(*heap_);
    const WeakCallback<Node> callback(node, [] { throw 7; });
    node.Reset();
  });
  EXPECT_NE(report.find("weak callback of "), std::string::npos) << report;
  EXPECT_NE(report.find("an exception that is no std::exception"), std::string::npos) << report;
}

// The hook may use the heap as any callback may.
TEST_F(UnraisableTest, TheHookMayMakeAndDrop) {
  static Heap* heap = nullptr;
  static Lives* lives = nullptr;
  static bool refused = false;
  heap = heap_.get();
  lives = &lives_;
  SetUnraisableHook([](const Unraisable&) {
    Ref<Node> made = heap->Make<Node>(*lives);
    made->next = heap->Make<Node>(*lives);
    made.Reset();
    refused = !heap->TryCollect().ok();
  });
  Ref<Node> node = MakeNode(*heap_);
  const WeakCallback<Node> callback(node, [] { Throw("c"); });
  node.Reset();
  EXPECT_EQ(lives_.begun(), 3);
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(refused);
}

// Two threads are inside it at once: neither waits for the other to leave.
TEST_F(UnraisableTest, TheHookRunsOnSeveralThreadsAtOnce) {
  static std::atomic<int> inside{0};
  inside = 0;
  SetUnraisableHook([](const Unraisable&) {
    ++inside;
    inside.notify_all();
    for (int now = inside; now < 2; now = inside) inside.wait(now);
  });
  test::RunThreads(2, [this](int) { heap_->Make<Finalizable>(lives_).Reset(); });
  EXPECT_EQ(inside, 2);
}

// --- where the caller gets it ---

TEST_F(UnraisableTest, WithAndWeakFunctionPassOnWhatTheyCallThrows) {
  Ref<Node> node = MakeNode(*heap_);
  const Weak<Node> weak = node;
  EXPECT_THROW(weak.With([](Node&) { Throw("with"); }), std::runtime_error);
  const auto bound = WeakFunction(node, [](Node&, const char* what) { Throw(what); });
  EXPECT_THROW(bound("bound"), std::runtime_error);
  EXPECT_EQ(RefCount(node), 2) << "the lock went with the exception";
  EXPECT_TRUE(g_told.empty());
  node.Reset();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_FALSE(weak.With([](Node&) { Throw("of the dead"); }));
  EXPECT_FALSE(bound("of the dead"));
}

// The function's lock may be the last reference: the object dies while the exception passes.
TEST_F(UnraisableTest, TheObjectMayDieByTheException) {
  Ref<Node> node = MakeNode(*heap_);
  const Weak<Node> weak = node;
  EXPECT_THROW(weak.With([&node](Node&) {
    node.Reset();
    Throw("with");
  }),
               std::runtime_error);
  EXPECT_EQ(lives_.now(), 0);
}

}  // namespace
}  // namespace reef
