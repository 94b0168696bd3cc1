// Big drops are finished by the collector thread: where the heap has a budget, or the program asks.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
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

  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};

TEST_F(DropBudgetTest, TenMillionObjectsCostTheStatementItsBudget) {
  const size_t length = test::Sized(10'000'000, 200'000);
  Ref<Link> list = MakeList(length);
  EXPECT_EQ(DestroyedHere([&] { list.Reset(); }), static_cast<int64_t>(kBudget));
  (void)heap_->Collect();
  EXPECT_EQ(g_destroyed, static_cast<int64_t>(length));
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
  for (int round = 0; round < 10 || collector.rounds() < 5; ++round) {
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
  options.max_bytes = uint64_t{32} << 20;
  heap_ = test::NewHeap(options);
  for (int round = 0; round < 5; ++round) {
    Ref<Link> head;
    size_t made = 0;
    for (;; ++made) {
      absl::StatusOr<Ref<Link>> link = heap_->TryMake<Link>();
      if (!link.ok()) break;
      (*link)->next = std::move(head);
      head = *std::move(link);
    }
    EXPECT_GT(made, 500'000u);
    head.Reset();
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
