// Control over a heap's collections: enabled, disabled, paused; pacing at run time; what callbacks
// and the history say; what a wrong call gets.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;
using Moment = CollectionEvent::Moment;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

void MakeRings(Heap& heap, Lives& lives, int count) {
  for (int i = 0; i < count; ++i) {
    const Ref<Node> node = heap.Make<Node>(lives);
    node->next = node;
  }
}

// Collects as soon as anything may have become unreachable.
HeapOptions EagerOptions() {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.growth_bytes = 0;
  options.growth_percent = 1;
  options.collector_cpu_percent = 100;
  return options;
}

class ControlTest : public testing::Test {
 protected:
  uint64_t Collections() { return heap_->Stats().collections; }
  // Garbage appears, and the pacer has had every occasion to look at it.
  void GiveOccasions() {
    const uint64_t ticks = other_->Stats().collections;
    MakeRings(*heap_, lives_, 1'000);
    // The other heap is served by the same thread, after this one: its collections are the clock.
    for (uint64_t i = 1; i <= 3; ++i) {
      MakeRings(*other_, other_lives_, 1'000);
      ASSERT_TRUE(Eventually([&] { return other_->Stats().collections >= ticks + i; }));
    }
  }

  Lives lives_;
  Lives other_lives_;
  std::unique_ptr<Heap> heap_ = test::NewHeap(EagerOptions());
  std::unique_ptr<Heap> other_ = test::NewHeap(EagerOptions());
};

TEST_F(ControlTest, NothingStartsByItselfWhileDisabled) {
  EXPECT_TRUE(heap_->IsCollectionEnabled());
  heap_->DisableCollection();
  heap_->DisableCollection();
  EXPECT_FALSE(heap_->IsCollectionEnabled());
  ASSERT_TRUE(Eventually([&] { return !heap_->IsCollecting(); }));
  const uint64_t before = Collections();
  GiveOccasions();
  EXPECT_EQ(Collections(), before);
  EXPECT_EQ(lives_.ended(), 0);
  EXPECT_EQ(heap_->Collect().objects, 1'000u) << "asked for, it collects";
  MakeRings(*heap_, lives_, 1'000);
  heap_->EnableCollection();
  EXPECT_TRUE(heap_->IsCollectionEnabled());
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

TEST_F(ControlTest, NothingStartsByItselfWhileAnyonePauses) {
  std::optional<CollectionPause> one(*heap_);
  std::optional<CollectionPause> two;
  std::thread([&] { two.emplace(*heap_); }).join();
  EXPECT_FALSE(heap_->IsCollectionEnabled());
  EXPECT_TRUE(other_->IsCollectionEnabled()) << "a heap of its own";
  ASSERT_TRUE(Eventually([&] { return !heap_->IsCollecting(); }));
  const uint64_t before = Collections();
  GiveOccasions();
  one.reset();
  EXPECT_FALSE(heap_->IsCollectionEnabled());
  GiveOccasions();
  EXPECT_EQ(Collections(), before);
  EXPECT_EQ(lives_.ended(), 0);
  heap_->DisableCollection();
  two.reset();
  EXPECT_FALSE(heap_->IsCollectionEnabled()) << "a pause leaves the other switch as it is";
  heap_->EnableCollection();
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

TEST_F(ControlTest, PauseMayOutliveItsHeap) {
  const CollectionPause pause(*heap_);
  heap_.reset();
}

TEST_F(ControlTest, AllocationThatFindsNoMemoryCollectsInAPauseToo) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{8} << 20;
  const std::unique_ptr<Heap> small = test::NewHeap(options);
  const CollectionPause pause(*small);
  for (int i = 0; i < 1'000; ++i) {
    struct Big {
      void Trace(Visitor& v) const { v.Visit(self); }
      Member<Big> self;
      char bytes[30'000] = {};
    };
    const Ref<Big> big = small->Make<Big>();
    big->self = big;
  }
  const std::vector<CollectionRecord> history = small->History();
  ASSERT_FALSE(history.empty());
  for (const CollectionRecord& record : history) {
    EXPECT_EQ(record.cause, CollectionCause::kMemory);
  }
}

TEST_F(ControlTest, PacingIsWhatWasSet) {
  HeapOptions options = test::QuietOptions();
  options.growth_percent = 70;
  options.growth_bytes = 12'345;
  options.collector_cpu_percent = 33;
  options.marker_threads = 2;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  EXPECT_EQ(heap->Pacing(), (PacingOptions{70, 12'345, 33, 2}));
  const PacingOptions pacing{10'000, 0, 1, 16};
  EXPECT_TRUE(heap->SetPacing(pacing).ok());
  EXPECT_EQ(heap->Pacing(), pacing);
}

TEST_F(ControlTest, PacingOutOfRangeIsRefusedWhole) {
  const PacingOptions before = heap_->Pacing();
  const auto refused = [&](auto change, const char* message) {
    PacingOptions pacing{50, 1, 50, 2};
    change(pacing);
    const absl::Status status = heap_->SetPacing(pacing);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), message);
    EXPECT_EQ(heap_->Pacing(), before) << "nothing has changed";
  };
  refused([](PacingOptions& p) { p.growth_percent = 0; },
          "HeapOptions::growth_percent must be 1 to 10,000, not 0");
  refused([](PacingOptions& p) { p.growth_percent = -5; },
          "HeapOptions::growth_percent must be 1 to 10,000, not -5");
  refused([](PacingOptions& p) { p.collector_cpu_percent = 101; },
          "HeapOptions::collector_cpu_percent must be 1 to 100, not 101");
  refused([](PacingOptions& p) { p.marker_threads = 17; },
          "HeapOptions::marker_threads must be 1 to 16, not 17");
}

TEST_F(ControlTest, PacingSetAtRunTimePaces) {
  HeapOptions options = EagerOptions();
  options.growth_bytes = uint64_t{1} << 40;  // never for growth
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  Lives lives;
  (void)heap->Collect();
  // Without the change the next one comes after the quiet interval of two seconds.
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(heap->SetPacing({.growth_percent = 1, .growth_bytes = 0}).ok());
  MakeRings(*heap, lives, 1'000);
  EXPECT_TRUE(Eventually([&] { return lives.now() == 0; }));
  if (!test::kSlowBuild) {
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1'900));
  }
}

TEST_F(ControlTest, PacingChangesWhileCollectionsRunAndMarkersCome) {
  test::RunThreads(3, [&](int thread) {
    for (int i = 0; i < 300; ++i) {
      PacingOptions pacing{.growth_percent = 1 + i, .growth_bytes = 0};
      pacing.marker_threads = 1 + (i + thread) % 3;
      EXPECT_TRUE(heap_->SetPacing(pacing).ok());
      MakeRings(*heap_, lives_, 10);
      const CollectionPause pause(*heap_);
      if (i % 30 == 0) (void)heap_->Collect();
    }
  });
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(heap_->IsCollectionEnabled());
}

// Says by how many threads it was traced.
struct Traced {
  void Trace(Visitor& v) const {
    v.Visit(left, right);
    const uint64_t self = std::hash<std::thread::id>()(std::this_thread::get_id());
    uint64_t none = 0;
    if (!first.compare_exchange_strong(none, self) && none != self) several = true;
  }
  static inline std::atomic<uint64_t> first{0};
  static inline std::atomic<bool> several{false};
  Member<Traced> left;
  Member<Traced> right;
};

TEST_F(ControlTest, MarkersSetAtRunTimeMark) {
  ASSERT_GE(std::thread::hardware_concurrency(), 2U) << "on one processor they would take turns";
  const std::unique_ptr<Heap> heap = test::NewHeap();
  std::vector<Ref<Traced>> row(1);
  while (row.size() < test::Sized(1 << 17, 1 << 14)) {
    std::vector<Ref<Traced>> parents;
    for (size_t i = 0; i < 2 * row.size(); ++i) {
      parents.push_back(heap->Make<Traced>());
      parents.back()->left = row[i / 2];
    }
    row = std::move(parents);
  }
  const auto collect = [&heap] {
    Traced::first = 0;
    (void)heap->Collect();
    return Traced::several.load();
  };
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(collect()) << "one marker";
  EXPECT_TRUE(heap->SetPacing({.marker_threads = 3}).ok());
  EXPECT_TRUE(Eventually(collect));
  EXPECT_TRUE(heap->SetPacing({.marker_threads = 1}).ok());
  (void)heap->Collect();
  Traced::several = false;
  EXPECT_FALSE(collect());
}

TEST_F(ControlTest, CallbacksFrameEachCollection) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  std::vector<CollectionEvent> events;
  std::thread::id where;
  {
    const CollectionCallback told = heap->OnCollection([&](const CollectionEvent& event) {
      events.push_back(event);
      where = std::this_thread::get_id();
    });
    EXPECT_TRUE(told);
    MakeRings(*heap, lives_, 7);
    EXPECT_EQ(heap->Collect().objects, 7u);
  }
  const size_t count = events.size();
  EXPECT_NE(where, std::this_thread::get_id());
  ASSERT_GE(count, 2u);
  uint64_t objects = 0;
  for (size_t i = 0; i < count; ++i) {
    EXPECT_EQ(events[i].moment, i % 2 == 0 ? Moment::kStart : Moment::kStop);
    EXPECT_EQ(events[i].number, i / 2 + 1);
    EXPECT_EQ(events[i].cause, CollectionCause::kRequest);
    objects += events[i].report.objects;
  }
  EXPECT_EQ(objects, 7u);
  (void)heap->Collect();
  EXPECT_EQ(events.size(), count) << "the handle is gone";
}

TEST_F(ControlTest, CallbackUsesHeapsButMayNotCollect) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  absl::Status answer;
  bool refused = false;
  int made = 0;
  CollectionCallback told = heap->OnCollection([&](const CollectionEvent& event) {
    if (event.moment == Moment::kStop) return;
    MakeRings(*heap, lives_, 5);
    ++made;
    answer = heap->TryCollect().status();
    try {
      (void)heap->Collect();
    } catch (const CollectRefused&) {
      refused = true;
    }
    EXPECT_TRUE(heap->IsCollecting());
    EXPECT_TRUE(heap->SetPacing({.growth_percent = 5}).ok());
  });
  EXPECT_GE(heap->Collect().objects, 5u);
  EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(refused);
  told.Reset();
  EXPECT_FALSE(told);
  told.Reset();
  (void)heap->Collect();
  EXPECT_EQ(lives_.begun(), 5 * made);
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(ControlTest, CallbackHandlesMoveAndMayOutliveTheHeap) {
  std::unique_ptr<Heap> heap = test::NewHeap();
  int one = 0;
  int two = 0;
  CollectionCallback a = heap->OnCollection([&one](const CollectionEvent&) { ++one; });
  CollectionCallback b = heap->OnCollection([&two](const CollectionEvent&) { ++two; });
  a = std::move(b);  // ends the first
  EXPECT_FALSE(b);   // NOLINT(bugprone-use-after-move)
  (void)heap->Collect();
  EXPECT_EQ(one, 0);
  EXPECT_GE(two, 2);
  heap.reset();
  const int last = two;
  EXPECT_GT(last, 2) << "the end of a heap collects";
  a.Reset();
  EXPECT_EQ(two, last);
}

TEST_F(ControlTest, WhatACallbackThrowsGoesNoFurther) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  const CollectionCallback told =
      heap->OnCollection([](const CollectionEvent&) { throw std::string("anything"); });
  MakeRings(*heap, lives_, 3);
  testing::internal::CaptureStderr();
  EXPECT_EQ(heap->Collect().objects, 3u);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("ignored in a collection callback"),
            std::string::npos);
}

TEST_F(ControlTest, EmptyFunctionIsAMisuse) {
#if REEF_IS_CHECKED
  EXPECT_DEATH((void)heap_->OnCollection(nullptr),
               "reef: Heap::OnCollection without a function.*hint: pass something");
#else
  const CollectionCallback none = heap_->OnCollection(nullptr);
  EXPECT_FALSE(none);
  (void)heap_->Collect();
#endif
}

TEST_F(ControlTest, CallbackThatDestroysAHeapIsAMisuse) {
  EXPECT_DEATH(
      {
        const std::unique_ptr<Heap> heap = test::NewHeap();
        std::unique_ptr<Heap> victim = test::NewHeap();
        const CollectionCallback told =
            heap->OnCollection([&victim](const CollectionEvent&) { victim.reset(); });
        (void)heap->Collect();
      },
      "reef: a Heap was destroyed where a collection cannot be waited for");
}

TEST_F(ControlTest, HistoryAgreesWithTheTotals) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  EXPECT_TRUE(heap->History().empty());
  const auto start = std::chrono::system_clock::now();
  for (int i = 1; i <= 5; ++i) {
    MakeRings(*heap, lives_, i);
    (void)heap->Collect();
  }
  const std::vector<CollectionRecord> history = heap->History();
  const HeapStats stats = heap->Stats();
  ASSERT_EQ(history.size(), stats.collections);
  uint64_t objects = 0;
  for (size_t i = 0; i < history.size(); ++i) {
    EXPECT_EQ(history[i].number, i + 1);
    EXPECT_EQ(history[i].report.cycles, 1u);
    EXPECT_GE(history[i].ended, start);
    objects += history[i].report.objects;
  }
  EXPECT_EQ(objects, 15u);
  EXPECT_EQ(objects, stats.garbage_objects);
  for (int i = 0; i < kHistoryLength; ++i) (void)heap->Collect();
  EXPECT_EQ(heap->History().size(), static_cast<size_t>(kHistoryLength));
  EXPECT_EQ(heap->History().back().number, heap->Stats().collections);
}

}  // namespace
}  // namespace reef
