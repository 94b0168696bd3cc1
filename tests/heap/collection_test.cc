// When collections happen: on request, never where the request would wait for itself, and by
// themselves when enough has grown.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
  char weight[64] = {};
};

void MakeCycles(Heap& heap, Lives& lives, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const Ref<Node> a = heap.Make<Node>(lives);
    const Ref<Node> b = heap.Make<Node>(lives);
    a->next = b;
    b->next = a;
  }
}

using CollectionTest = test::QuietHeapTest;

TEST_F(CollectionTest, CollectInsideAReadScopeIsRefused) {
  MakeCycles(*heap_, lives_, 1);
  {
    const ReadScope scope;
    EXPECT_THROW((void)heap_->Collect(), CollectRefused);
    EXPECT_EQ(heap_->TryCollect().status().code(), absl::StatusCode::kFailedPrecondition);
    const ReadScope inner;
    EXPECT_THROW((void)heap_->Collect(), CollectRefused);
  }
  EXPECT_EQ(lives_.ended(), 0);
  const absl::StatusOr<CollectionReport> report = heap_->TryCollect();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->objects, 2u);
}

// Asks for a collection while it is made, or while it is destroyed.
struct Asker {
  struct WhenMade {};
  Asker(Heap* heap, WhenMade) { (void)heap->Collect(); }
  Asker(Heap* heap, absl::Status* out) : at_death(heap), answer(out) {}
  ~Asker() {
    if (at_death != nullptr) *answer = at_death->TryCollect().status();
  }
  void Trace(Visitor& v) const { v.Visit(self); }
  Heap* at_death = nullptr;
  absl::Status* answer = nullptr;
  Member<Asker> self;
};

TEST_F(CollectionTest, CollectInAWeakCallbackOrFinalizerIsRefused) {
  Ref<Asker> object = heap_->Make<Asker>(nullptr, nullptr);
  std::vector<std::string> said;
  const auto ask = [&] { said.emplace_back(heap_->TryCollect().status().message()); };
  const WeakCallback<Asker> callback(object, ask);
  const Finalizer finalizer(object, ask);
  object.Reset();
  ASSERT_EQ(said.size(), 2u);
  for (const std::string& words : said) {
    EXPECT_NE(words.find("destructor, finalizer or callback"), std::string::npos) << words;
  }
}

TEST_F(CollectionTest, CollectInAConstructorIsRefused) {
  EXPECT_THROW((void)heap_->Make<Asker>(heap_.get(), Asker::WhenMade()), CollectRefused);
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
  EXPECT_TRUE(heap_->TryCollect().ok());
}

TEST_F(CollectionTest, CollectInADestructorIsRefused) {
  absl::Status answer;
  (void)heap_->Make<Asker>(heap_.get(), &answer);
  EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(heap_->TryCollect().ok());
}

TEST_F(CollectionTest, CollectInADestructorOfACycleIsRefused) {
  absl::Status answer;
  {
    const Ref<Asker> asker = heap_->Make<Asker>(heap_.get(), &answer);
    asker->self = asker;
  }
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CollectionTest, RefusalOfAnInnerHeapIsRefusalToo) {
  const std::unique_ptr<Heap> other = test::NewHeap();
  absl::Status answer;
  (void)heap_->Make<Asker>(other.get(), &answer);
  EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CollectionTest, ManyThreadsMayAskAtOnce) {
  std::atomic<uint64_t> objects{0};
  test::RunThreads(6, [&](int) {
    for (int i = 0; i < 5; ++i) {
      MakeCycles(*heap_, lives_, 100);
      objects += heap_->Collect().objects;
    }
  });
  EXPECT_EQ(lives_.now(), 0);
  // What one call reclaimed may stand in the report of several that waited for it.
  EXPECT_GE(objects.load(), 6000u);
}

TEST_F(CollectionTest, ObjectsMadeAndReattachedDuringCollectionsSurvive) {
  const test::ConstantCollector collector(*heap_);
  const Ref<Node> left = heap_->Make<Node>(lives_);
  const Ref<Node> right = heap_->Make<Node>(lives_);
  left->next = heap_->Make<Node>(lives_);
  left->next->weight[0] = 1;
  for (int i = 0; i < 200'000 || collector.rounds() < 20; ++i) {
    // The chain always hangs on one of them, and by a root only in between.
    if (i % 3 == 0) {
      right->next = std::move(left->next);
      left->next = std::move(right->next);
    } else if (i % 3 == 1) {
      const Ref<Node> held = left->next.Take();
      right->next = held;
      left->next = right->next;
      right->next = nullptr;
    } else {
      Ref<Node> fresh = heap_->Make<Node>(lives_);
      fresh->weight[0] = 1;
      fresh->next = fresh;  // the one before becomes garbage
      left->next = std::move(fresh);
    }
    ASSERT_TRUE(left->next);
    ASSERT_EQ(left->next->weight[0], 1);
  }
  left->next->next = nullptr;
}

HeapOptions EagerOptions() {
  HeapOptions options;
  options.reserve_bytes = uint64_t{1} << 30;
  options.growth_bytes = uint64_t{1} << 20;
  options.growth_percent = 10;
  options.collector_cpu_percent = 100;
  return options;
}

TEST(AutomaticCollectionTest, CyclesBeyondTheGrowthAreReclaimedUnasked) {
  const std::unique_ptr<Heap> heap = test::NewHeap(EagerOptions());
  Lives lives;
  MakeCycles(*heap, lives, 50'000);  // about ten times the growth
  EXPECT_TRUE(Eventually([&] {
    const HeapStats stats = heap->Stats();
    return stats.live_bytes < (uint64_t{4} << 20) && stats.garbage_objects > 50'000;
  })) << heap->Stats().live_bytes;
  EXPECT_GE(heap->Stats().collections, 1u);
  (void)heap->Collect();
  EXPECT_EQ(lives.now(), 0);
}

TEST_F(CollectionTest, SleepingScopeMakesCollectRunOnceNotAgainAndAgain) {
  AtomicRef<Node> place(heap_->Make<Node>(lives_));
  {
    const test::Sleeper sleeper;
    place.Store(nullptr);  // retired: it waits for the sleeper
    EXPECT_EQ(heap_->Collect().cycles, 1u);
    MakeCycles(*heap_, lives_, 1);
    const CollectionReport report = heap_->Collect();
    EXPECT_EQ(report.objects, 2u);
    EXPECT_EQ(report.cycles, 2u) << "again after a find, and no more";
    EXPECT_EQ(lives_.now(), 1);
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

// A producer that nothing holds back, and a collector that may take a hundredth of a core as long
// as that is enough: were it held to that, the garbage would reach the heap's limit.
TEST(AutomaticCollectionTest, GarbageIsBoundedWhileItIsProduced) {
  constexpr uint64_t kLimit = test::Sized(1024, 256) << 20;
  HeapOptions options;
  options.max_bytes = kLimit;
  options.growth_bytes = test::Sized(16, 4) << 20;
  options.collector_cpu_percent = 1;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  Lives lives;
  uint64_t peak = 0;
  uint64_t produced = 0;
  while (produced < kLimit / 2 * 3) {
    MakeCycles(*heap, lives, 5'000);
    produced += 10'000 * (sizeof(Node) + 16);
    peak = std::max(peak, heap->Stats().uncollected_bytes);
  }
  EXPECT_GE(heap->Stats().collections, 2u);
  EXPECT_LT(peak, kLimit / 4 * 3);
  (void)heap->Collect();
  EXPECT_EQ(lives.now(), 0);
  EXPECT_EQ(heap->Stats().uncollected_bytes, 0u);
}

TEST(AutomaticCollectionTest, SwitchedOffItNeverHappens) {
  const std::unique_ptr<Heap> quiet = test::NewHeap();
  const std::unique_ptr<Heap> eager = test::NewHeap(EagerOptions());
  Lives quiet_lives;
  Lives eager_lives;
  MakeCycles(*quiet, quiet_lives, 100'000);
  // The other heap's collections are the clock: the same thread looks after both.
  for (int i = 0; i < 3; ++i) {
    const uint64_t before = eager->Stats().collections;
    MakeCycles(*eager, eager_lives, 50'000);
    ASSERT_TRUE(Eventually([&] { return eager->Stats().collections > before; }));
  }
  EXPECT_EQ(quiet->Stats().collections, 0u);
  EXPECT_EQ(quiet_lives.ended(), 0);
  EXPECT_EQ(quiet->Collect().objects, 200'000u);
}

TEST(AutomaticCollectionTest, LivingObjectsAreNeverTouched) {
  const std::unique_ptr<Heap> heap = test::NewHeap(EagerOptions());
  Lives lives;
  Lives kept;
  const Ref<Node> root = heap->Make<Node>(kept);
  Ref<Node> last = root;
  for (int i = 0; i < 200; ++i) {
    Ref<Node> fresh = heap->Make<Node>(kept);
    last->next = fresh;
    last = std::move(fresh);
    MakeCycles(*heap, lives, 500);
  }
  last->next = root;  // a ring with a root
  last.Reset();
  for (int i = 0; i < 3; ++i) {
    const uint64_t before = heap->Stats().collections;
    MakeCycles(*heap, lives, 50'000);
    ASSERT_TRUE(Eventually([&] { return heap->Stats().collections > before; }));
  }
  EXPECT_EQ(kept.ended(), 0);
  int64_t length = 1;
  for (const Node* node = root->next.get(); node != root.get(); node = node->next.get()) ++length;
  EXPECT_EQ(length, 201);
  root->next = nullptr;
}

// What others go on publishing and dropping is not waited for.
TEST_F(CollectionTest, CollectReturnsWhileOthersPublishWithoutAPause) {
  std::atomic<bool> stop{false};
  AtomicRef<Node> published;
  std::thread publisher([&] {
    while (!stop.load(std::memory_order_relaxed)) published.Store(heap_->Make<Node>(lives_));
  });
  for (int i = 0; i < 5; ++i) {
    MakeCycles(*heap_, lives_, 10);
    EXPECT_GE(heap_->Collect().objects, 20u) << i;
  }
  stop.store(true, std::memory_order_relaxed);
  publisher.join();
  published.Store(nullptr);
}

// Threads that fail at one heap's limit, over and over, have collections of it due all the time.
TEST_F(CollectionTest, RequestsOfOneHeapDoNotHoldUpAnothers) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{2} << 20;
  const std::unique_ptr<Heap> full = test::NewHeap(options);
  std::vector<Ref<Node>> kept;
  for (;;) {
    absl::StatusOr<Ref<Node>> made = full->TryMake<Node>(lives_);
    if (!made.ok()) break;
    kept.push_back(*std::move(made));
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> failing;
  for (int i = 0; i < 3; ++i) {
    failing.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        EXPECT_FALSE(full->TryMake<Node>(lives_).ok());
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    MakeCycles(*heap_, lives_, 1);
    EXPECT_EQ(heap_->Collect().objects, 2u) << i;
  }
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : failing) thread.join();
  kept.clear();
}

}  // namespace
}  // namespace reef
