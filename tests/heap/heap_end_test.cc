// The end of a Heap: what it does about objects that are still referred to.

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
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

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

std::unique_ptr<Heap> NewHeap(HeapEnd end) {
  HeapOptions options = test::QuietOptions();
  options.end = end;
  return test::NewHeap(options);
}

TEST(HeapEndTest, ReportCollectsAndSaysWhatIsLeft) {
  Lives lives;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kReport);
  const Ref<Node> kept = heap->Make<Node>(lives);
  {
    const Ref<Node> ring = heap->Make<Node>(lives);
    ring->next = ring;
  }
  testing::internal::CaptureStderr();
  heap.reset();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("destroyed while 1 of its objects are still referred to"), std::string::npos)
      << said;
  EXPECT_EQ(lives.now(), 1);
}

TEST(HeapEndTest, LeakSaysAndCollectsNothing) {
  Lives lives;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kLeak);
  Ref<Node> kept = heap->Make<Node>(lives);
  {
    const Ref<Node> ring = heap->Make<Node>(lives);
    ring->next = ring;
  }
  testing::internal::CaptureStderr();
  heap.reset();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(lives.now(), 2);
  kept->next = kept;
  kept->next = nullptr;
  kept.Reset();
  EXPECT_EQ(lives.now(), 1) << "counting goes on";
}

TEST(HeapEndTest, LeakGoesOnCollecting) {
  Lives lives;
  HeapOptions options = test::QuietOptions();
  options.end = HeapEnd::kLeak;
  options.automatic_collection = true;
  options.growth_bytes = 1 << 16;
  options.collector_cpu_percent = 100;
  options.debug.keep_garbage = true;
  std::unique_ptr<Heap> heap = test::NewHeap(options);
  std::atomic<int> calls{0};
  const CollectionCallback callback =
      heap->OnCollection([&calls](const CollectionEvent&) { ++calls; });
  Ref<Node> ring = heap->Make<Node>(lives);
  for (int i = 1; i < 10'000; ++i) {
    Ref<Node> node = heap->Make<Node>(lives);
    if (ring->next)
      node->next = ring->next;
    else
      node->next = ring;
    ring->next = node;
  }
  (void)heap->Collect();
  heap.reset();
  const int before = calls;
  EXPECT_GT(before, 0);
  ring.Reset();
  EXPECT_TRUE(test::Eventually([&lives] { return lives.now() == 0; })) << "kept, or not collected";
  EXPECT_EQ(calls, before) << "the heap's end ends the calls";
}

// A function that has captured its own handle ends once, with the first call that is not made.
TEST(HeapEndTest, LeakEndsAFunctionThatOwnsItsHandle) {
  struct Monitor {
    explicit Monitor(std::atomic<int>* ended) : ends(ended) {}
    ~Monitor() { ++*ends; }
    std::atomic<int>* ends;
    CollectionCallback handle;
  };
  Lives lives;
  std::atomic<int> ends{0};
  HeapOptions options = test::QuietOptions();
  options.end = HeapEnd::kLeak;
  options.automatic_collection = true;
  options.growth_bytes = 1 << 16;
  options.collector_cpu_percent = 100;
  std::unique_ptr<Heap> heap = test::NewHeap(options);
  {
    auto monitor = std::make_shared<Monitor>(&ends);
    monitor->handle = heap->OnCollection([monitor](const CollectionEvent&) {});
  }
  Ref<Node> ring = heap->Make<Node>(lives);
  ring->next = ring;
  for (int i = 0; i < 10'000; ++i) {
    const Ref<Node> node = heap->Make<Node>(lives);
    node->next = ring->next;
    ring->next = node;
  }
  heap.reset();
  EXPECT_EQ(ends, 0);
  ring.Reset();
  EXPECT_TRUE(test::Eventually([&lives] { return lives.now() == 0; }));
  EXPECT_TRUE(test::Eventually([&ends] { return ends == 1; }));
}

// Notes what its finalizer sees.
struct Noted {
  Noted(Lives& lives, std::vector<std::string>* order_of_events, std::string its_name)
      : life(lives), events(order_of_events), name(std::move(its_name)) {}
  ~Noted() { events->push_back("destroyed " + name); }
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(Ref<Noted> self) {
    events->push_back("finalized " + name + (next ? " -> " + next->name : ""));
    if (at_finalize) at_finalize(self);
  }
  Life life;
  std::vector<std::string>* events;
  std::string name;
  Member<Noted> next;
  std::function<void(const Ref<Noted>&)> at_finalize;
};

struct NotedLeaf {
  explicit NotedLeaf(int* count) : finalized(count) {}
  void Finalize(Ref<NotedLeaf> /*self*/) { ++*finalized; }
  int* finalized;
};

class HeapEndFinalizeTest : public ::testing::Test {
 protected:
  Ref<Noted> Make(const std::string& name) { return heap_->Make<Noted>(lives_, &events_, name); }
  // What ~Heap says.
  std::string End() {
    testing::internal::CaptureStderr();
    heap_.reset();
    return testing::internal::GetCapturedStderr();
  }
  std::vector<std::string> Sorted() {
    std::vector<std::string> sorted = events_;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

  Lives lives_;
  std::vector<std::string> events_;
  std::unique_ptr<Heap> heap_ = NewHeap(HeapEnd::kFinalize);
};

TEST_F(HeapEndFinalizeTest, WhatIsReferredToIsFinalizedOnceAndStaysValid) {
  Ref<Noted> root = Make("root");
  root->next = Make("child");
  root->next->next = root;
  {
    const Ref<Noted> garbage = Make("garbage");
    garbage->next = garbage;
  }
  int leaf_finalized = 0;
  Ref<NotedLeaf> leaf = heap_->Make<NotedLeaf>(&leaf_finalized);
  const std::string said = End();
  EXPECT_NE(said.find("destroyed while 3 of its objects are still referred to"), std::string::npos)
      << said;
  EXPECT_EQ(Sorted(),
            std::vector<std::string>({"destroyed garbage", "finalized child -> root",
                                      "finalized garbage -> garbage", "finalized root -> child"}));
  EXPECT_EQ(leaf_finalized, 1);
  EXPECT_EQ(root->next->next, root);
  EXPECT_TRUE(IsFinalized(root));
  // Their finalizers have run: what is dropped now dies at once.
  root->next->next = nullptr;
  root.Reset();
  EXPECT_EQ(events_[events_.size() - 2], "destroyed root");
  EXPECT_EQ(events_.back(), "destroyed child");
  leaf.Reset();
  EXPECT_EQ(leaf_finalized, 1);
}

// As a registry is emptied by what is registered there.
TEST_F(HeapEndFinalizeTest, WhatFinalizersLetGoIsFreed) {
  std::vector<Ref<Noted>> registry;
  for (const char* name : {"a", "b", "c"}) {
    registry.push_back(Make(name));
    registry.back()->at_finalize = [&registry](const Ref<Noted>&) { registry.clear(); };
  }
  EXPECT_EQ(End(), "") << "nothing was left";
  ASSERT_EQ(events_.size(), 6u);
  // The first one lets all of them go; the others do not die before their turn has come.
  for (const std::string name : {"a", "b", "c"}) {
    const auto at = [this](const std::string& event) {
      return std::find(events_.begin(), events_.end(), event);
    };
    EXPECT_LT(at("finalized " + name), at("destroyed " + name)) << name;
  }
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(HeapEndFinalizeTest, NotAgainAndNotWhatWasMadeMeanwhile) {
  Ref<Noted> old = Make("old");
  Ref<Noted> made;
  old->at_finalize = [&, heap = heap_.get()](const Ref<Noted>&) {
    made = heap->Make<Noted>(lives_, &events_, "made");
  };
  const Ref<Noted> keep = old;
  EXPECT_NE(End().find("while 2 of its objects"), std::string::npos);
  EXPECT_EQ(events_, std::vector<std::string>({"finalized old"}));
  // Made on the collector thread, it dies there.
  made.Reset();
  EXPECT_TRUE(test::Eventually([this] { return lives_.now() == 1; }));
}

TEST_F(HeapEndFinalizeTest, AnExecutorGetsThem) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.end = HeapEnd::kFinalize;
  options.finalizer_executor = queue.Executor();
  heap_ = test::NewHeap(options);
  const Ref<Noted> kept = Make("kept");
  EXPECT_NE(End().find("while 1 of its objects"), std::string::npos);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(queue.Drain(), 1u);
  EXPECT_EQ(events_, std::vector<std::string>({"finalized kept"}));
}

TEST(HeapEndTest, ReportFinalizesNothingThatIsReferredTo) {
  Lives lives;
  std::vector<std::string> events;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kReport);
  const Ref<Noted> kept = heap->Make<Noted>(lives, &events, "kept");
  testing::internal::CaptureStderr();
  heap.reset();
  (void)testing::internal::GetCapturedStderr();
  EXPECT_TRUE(events.empty());
}

// Where the other ones would have to wait for itself.
TEST(HeapEndTest, LeakMayHappenAnywhere) {
  Lives lives;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kLeak);
  const Ref<Node> kept = heap->Make<Node>(lives);
  const ReadScope scope;
  heap.reset();
  EXPECT_EQ(lives.now(), 1);
}

TEST(HeapEndTest, OtherValuesAreRefused) {
  HeapOptions options = test::QuietOptions();
  options.end = static_cast<HeapEnd>(9);
  EXPECT_EQ(Heap::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace reef
