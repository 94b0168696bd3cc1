// Big drops are finished by the collector thread: where the heap has a budget, or the program asks.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

constexpr uint64_t kBudget = 1000;

thread_local int64_t t_destroyed = 0;  // on this thread
std::atomic<int64_t> g_destroyed{0};

struct Link {
  Link() = default;
  ~Link() {
    ++t_destroyed;
    g_destroyed.fetch_add(1, std::memory_order_relaxed);
  }
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Member<Link> next;
  Member<Link> other;
};

class DropBudgetTest : public ::testing::Test {
 protected:
  DropBudgetTest() { g_destroyed = 0; }
  static HeapOptions Options() {
    HeapOptions options = test::QuietOptions();
    options.drop_budget = kBudget;
    return options;
  }
  void TearDown() override {
    (void)heap_->Collect();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }
  Ref<Link> MakeList(size_t length) {
    Ref<Link> head;
    for (size_t i = 0; i < length; ++i) {
      Ref<Link> link = heap_->Make<Link>();
      link->next = std::move(head);
      head = std::move(link);
    }
    return head;
  }
  Ref<Link> MakeTree(int depth) {
    Ref<Link> root = heap_->Make<Link>();
    if (depth != 0) {
      root->next = MakeTree(depth - 1);
      root->other = MakeTree(depth - 1);
    }
    return root;
  }
  // What `drop` destroys on this thread.
  template <typename Drop>
  static int64_t DestroyedHere(Drop drop) {
    const int64_t before = t_destroyed;
    drop();
    return t_destroyed - before;
  }
  // The time for which this thread has had a processor: the machine may be busy.
  static std::chrono::nanoseconds TimeHere() {
    timespec time{};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};

TEST_F(DropBudgetTest, TenMillionObjectsCostTheStatementItsBudget) {
  const size_t length = test::Sized(10'000'000, 200'000);
  Ref<Link> list = MakeList(length);
  const std::chrono::nanoseconds start = TimeHere();
  EXPECT_EQ(DestroyedHere([&] { list.Reset(); }), static_cast<int64_t>(kBudget));
  EXPECT_LT(TimeHere() - start, std::chrono::milliseconds(test::kSlowBuild ? 50 : 5));
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, static_cast<int64_t>(length));
}

// A vector's end drops each of its elements, so a budget bounds the destructors only.
TEST_F(DropBudgetTest, WideGraphsReturnAtOnceByDropLater) {
  struct Row {
    void Trace(Visitor& v) const { v.Visit(links); }
    Vector<Link> links;
  };
  const size_t width = test::Sized(1'000'000, 50'000);
  const auto make = [&] {
    Ref<Row> row = heap_->Make<Row>();
    for (size_t i = 0; i < width; ++i) row->links.push_back(heap_->Make<Link>());
    return row;
  };
  Ref<Row> row = make();
  EXPECT_LE(DestroyedHere([&] { row.Reset(); }), static_cast<int64_t>(kBudget));
  row = make();
  const std::chrono::nanoseconds start = TimeHere();
  EXPECT_EQ(DestroyedHere([&] { std::move(row).DropLater(); }), 0);
  EXPECT_LT(TimeHere() - start, std::chrono::milliseconds(test::kSlowBuild ? 50 : 5));
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, static_cast<int64_t>(2 * width));
}

TEST_F(DropBudgetTest, TheCollectorFinishesWithoutBeingAsked) {
  constexpr int64_t kLength = 100'000;
  Ref<Link> list = MakeList(kLength);
  list.Reset();
  EXPECT_TRUE(test::Eventually([] { return g_destroyed == kLength; })) << g_destroyed;
}

TEST_F(DropBudgetTest, TreesAndEdgesHaveTheSameBudget) {
  constexpr int kDepth = 12;
  Ref<Link> holder = heap_->Make<Link>();
  holder->next = MakeTree(kDepth);
  EXPECT_EQ(DestroyedHere([&] { holder->next.Reset(); }), static_cast<int64_t>(kBudget));
  holder->next = MakeTree(kDepth);
  EXPECT_EQ(DestroyedHere([&] { holder->next = nullptr; }), static_cast<int64_t>(kBudget));
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, 2 * ((2 << kDepth) - 1));
}

TEST_F(DropBudgetTest, SmallDropsEndWithTheirStatement) {
  Ref<Link> list = MakeList(kBudget);
  EXPECT_EQ(DestroyedHere([&] { list.Reset(); }), static_cast<int64_t>(kBudget));
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

TEST_F(DropBudgetTest, DropLaterDestroysNothingHere) {
  const size_t length = test::Sized(1'000'000, 50'000);
  Ref<Link> list = MakeList(length);
  Ref<Link> second = list;
  EXPECT_EQ(DestroyedHere([&] { std::move(list).DropLater(); }), 0);
  EXPECT_EQ(list, nullptr);
  EXPECT_EQ(RefCount(second), 2);  // the argument of RefCount, and `second`
  EXPECT_EQ(DestroyedHere([&] { std::move(second).DropLater(); }), 0);
  Ref<Link>().DropLater();
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, static_cast<int64_t>(length));
}

TEST_F(DropBudgetTest, DropLaterOfPublishedAndForeignObjects) {
  AtomicRef<Link> cell;
  cell.Store(MakeList(10));
  Ref<Link> published = cell.Exchange(nullptr);
  Ref<Link> foreign;
  std::thread([&] { foreign = MakeList(10); }).join();
  EXPECT_EQ(DestroyedHere([&] {
              std::move(published).DropLater();
              std::move(foreign).DropLater();
            }),
            0);
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, 20);
}

TEST_F(DropBudgetTest, EdgesOfWhatWaitsKeepTheirTargetsThroughCollections) {
  // The far end is referred to from a living object as well; what is left over still owns an edge.
  constexpr size_t kLength = 10'000;
  const test::ConstantCollector collector(*heap_);
  int64_t made = 0;
  for (int round = 0; round < 10 || collector.rounds() < 5; ++round) {
    // No faster than one thread destroys.
    ASSERT_TRUE(test::Eventually([&] { return g_destroyed >= made - int64_t{5 * kLength}; }));
    made += kLength + 1;
    Ref<Link> list = MakeList(kLength);
    Ref<Link> shared = heap_->Make<Link>();
    list->other = shared;
    Ref<Link> at = list;
    for (int i = 0; i < 100; ++i) at = Ref<Link>(at->next);
    at->other = shared;
    at = nullptr;
    list.Reset();
    ASSERT_EQ(heap_->Contains(shared), true);
    shared.Reset();
  }
}

TEST_F(DropBudgetTest, ThreadsThatEndLeaveNothing) {
  constexpr int kThreads = 8;
  constexpr size_t kLength = 20'000;
  test::RunThreads(kThreads, [&](int) { (void)MakeList(kLength); });
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, static_cast<int64_t>(kThreads * kLength));
}

TEST_F(DropBudgetTest, HeapMayEndDirectlyAfterABigDrop) {
  for (int i = 0; i < 5; ++i) {
    std::unique_ptr<Heap> heap = test::NewHeap(Options());
    heap_.swap(heap);
    Ref<Link> list = MakeList(100'000);
    list.Reset();
    heap_.swap(heap);
    testing::internal::CaptureStderr();
    heap.reset();
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  }
  EXPECT_EQ(g_destroyed, 500'000);
}

TEST_F(DropBudgetTest, HeapAtItsLimitWaitsForWhatWasLeft) {
  HeapOptions options = Options();
  options.max_bytes = uint64_t{test::Sized(32, 8)} << 20;
  heap_ = test::NewHeap(options);
  const int rounds = test::kSlowBuild ? 2 : 5;
  for (int round = 0; round < rounds; ++round) {
    Ref<Link> head;
    size_t made = 0;
    for (;; ++made) {
      absl::StatusOr<Ref<Link>> link = heap_->TryMake<Link>();
      if (!link.ok()) break;
      (*link)->next = std::move(head);
      head = *std::move(link);
    }
    EXPECT_GT(made, options.max_bytes / 64);
    head.Reset();
  }
}

// --- finalizers and weak handles ---

thread_local int64_t t_finalized = 0;

struct Speaker {
  ~Speaker() { ++t_destroyed; }
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(Ref<Speaker> self) {
    ++t_finalized;
    if (keep != nullptr) *keep = std::move(self);
  }
  Member<Speaker> next;
  Ref<Speaker>* keep = nullptr;
};

struct Holder {
  void Trace(Visitor& v) const { v.Visit(all); }
  Vector<Speaker> all;
};

class FinalizerBudgetTest : public DropBudgetTest {
 protected:
  static constexpr size_t kWidth = 5000;

  // All of them are due at once: they are on the slot's list when the budget is spent.
  Ref<Holder> MakeWide() {
    Ref<Holder> holder = heap_->Make<Holder>();
    for (size_t i = 0; i < kWidth; ++i) holder->all.push_back(heap_->Make<Speaker>());
    return holder;
  }
  Ref<Speaker> MakeSpeakers(size_t length) {
    Ref<Speaker> head;
    for (size_t i = 0; i < length; ++i) {
      Ref<Speaker> speaker = heap_->Make<Speaker>();
      speaker->next = std::move(head);
      head = std::move(speaker);
    }
    return head;
  }
  template <typename Drop>
  static int64_t DoneHere(Drop drop) {
    const int64_t before = t_finalized;
    const int64_t destroyed = DestroyedHere(drop);
    return destroyed + (t_finalized - before);
  }
};

TEST_F(FinalizerBudgetTest, FinalizersCountAsObjects) {
  Ref<Speaker> list = MakeSpeakers(20'000);
  EXPECT_EQ(DoneHere([&] { list.Reset(); }), static_cast<int64_t>(kBudget));
}

TEST_F(FinalizerBudgetTest, WideGraphsOfFinalizersAreCutAsWell) {
  Ref<Holder> holder = MakeWide();
  const int64_t done = DoneHere([&] { holder.Reset(); });
  EXPECT_LE(done, static_cast<int64_t>(kBudget));
  EXPECT_GT(done, static_cast<int64_t>(kBudget) - 10);  // the holder, and its buffer
}

TEST_F(FinalizerBudgetTest, DropLaterRunsNoFinalizerHere) {
  Ref<Speaker> saved;
  Ref<Speaker> list = MakeSpeakers(1000);
  list->keep = &saved;
  EXPECT_EQ(DoneHere([&] { std::move(list).DropLater(); }), 0);
  (void)heap_->Collect();
  ASSERT_TRUE(saved);
  EXPECT_TRUE(IsFinalized(saved));
  EXPECT_EQ(heap_->Stats().live_objects, 1000u);
  EXPECT_EQ(DoneHere([&] { saved.Reset(); }), static_cast<int64_t>(kBudget));
}

TEST_F(FinalizerBudgetTest, CallbacksOfWhatWasLeftRunElsewhere) {
  thread_local int called_here = 0;
  std::atomic<int> called{0};
  constexpr int kObjects = 100;
  Ref<Link> list = MakeList(kObjects);
  std::vector<WeakCallback<Link>> callbacks;
  std::vector<Weak<Link>> handles;
  for (Ref<Link> at = list; at != nullptr; at = Ref<Link>(at->next)) {
    handles.emplace_back(at);
    callbacks.emplace_back(at, [&called] {
      ++called_here;
      called.fetch_add(1);
    });
  }
  EXPECT_EQ(DestroyedHere([&] { std::move(list).DropLater(); }), 0);
  EXPECT_FALSE(handles[0].Lock());  // dead, whoever destroys it
  (void)heap_->Collect();
  EXPECT_EQ(called, kObjects);
  EXPECT_EQ(called_here, 0);
  for (const Weak<Link>& handle : handles) EXPECT_FALSE(handle.Lock());
}

TEST_F(FinalizerBudgetTest, WatchedListsAreFreedWhole) {
  for (int round = 0; round < 3; ++round) {
    Ref<Link> list = MakeList(20'000);
    std::vector<Weak<Link>> handles;
    int i = 0;
    for (Link* at = list.get(); at != nullptr; at = at->next.get()) {
      if (++i % 7 == 0) handles.push_back(WeakTo(at));
    }
    list.Reset();
    (void)heap_->Collect();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
  }
}

TEST_F(FinalizerBudgetTest, ExecutorGetsWhatWasLeft) {
  FinalizerQueue queue;
  HeapOptions options = Options();
  options.finalizer_executor = queue.Executor();
  heap_ = test::NewHeap(options);
  const int64_t before = t_finalized;
  MakeWide().Reset();
  (void)heap_->Collect();
  EXPECT_EQ(queue.size(), kWidth);
  EXPECT_EQ(t_finalized, before);
  EXPECT_EQ(queue.Drain(), kWidth);
  EXPECT_EQ(t_finalized, before + static_cast<int64_t>(kWidth));
  (void)heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
  heap_ = test::NewHeap(Options());  // the other one ends before the queue
}

TEST_F(FinalizerBudgetTest, WaitingFinalizersKeepTheirGraphsThroughCollections) {
  const test::ConstantCollector collector(*heap_);
  for (int round = 0; round < 10 || collector.rounds() < 5; ++round) {
    Ref<Speaker> saved;
    Ref<Speaker> list = MakeSpeakers(2000);
    Speaker* at = list.get();
    for (int i = 0; i < 1500; ++i) at = at->next.get();
    at->keep = &saved;
    const Weak<Speaker> weak = WeakTo(at);
    list.Reset();
    (void)heap_->Collect();
    ASSERT_TRUE(saved);
    EXPECT_EQ(saved, weak.Lock());
    int rest = 0;
    for (at = saved.get(); at != nullptr; at = at->next.get()) ++rest;
    EXPECT_EQ(rest, 500);
  }
}

TEST(DropBudgetOptionTest, TooSmallABudgetIsRefused) {
  HeapOptions options = test::QuietOptions();
  options.drop_budget = 63;
  const auto heap = Heap::Create(options);
  EXPECT_EQ(heap.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(heap.status().message().find("drop_budget"), std::string::npos);
}

}  // namespace
}  // namespace reef
