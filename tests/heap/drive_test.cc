// The collector driven by the program: it runs when it is let, where somebody waits for it, and
// not otherwise; a collection goes on from call to call.
#include "reef/drive.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/drive_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Life life;
  Member<Node> next;
  Member<Node> other;
};

void MakeRings(Heap& heap, Lives& lives, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const Ref<Node> node = heap.Make<Node>(lives);
    node->next = node;
  }
}

class DriveTest : public test::DrivenTest {
 protected:
  // Enough that a collection takes many of those steps.
  Ref<Node> MakeChain() {
    Ref<Node> chain = heap_->Make<Node>(lives_);
    for (size_t i = 0; i < test::Sized(300'000, 50'000); ++i) {
      Ref<Node> node = heap_->Make<Node>(lives_);
      node->next = std::move(chain);
      chain = std::move(node);
    }
    return chain;
  }
};

TEST_F(DriveTest, NothingRunsUnlessDriven) {
  EXPECT_TRUE(IsCollectorDriven());
  const uint64_t before = heap_->Stats().collections;
  MakeRings(*heap_, lives_, 10'000);
  // Twice the time after which the pacer would have looked.
  EXPECT_FALSE(test::Eventually([this] { return lives_.ended() != 0; }, milliseconds(150)));
  EXPECT_EQ(heap_->Stats().collections, before);
  EXPECT_TRUE(test::Eventually([this] {
    (void)Drive(milliseconds(1));
    return lives_.now() == 0;
  }));
  EXPECT_GT(heap_->Stats().collections, before);
}

TEST_F(DriveTest, CollectionGoesOnFromCallToCall) {
  const Ref<Node> chain = MakeChain();
  MakeRings(*heap_, lives_, 1'000);
  const uint64_t before = heap_->Stats().collections;
  int calls = 0;
  Node* at = chain.get();
  ASSERT_TRUE(DriveIntoACollection(microseconds(50)));
  while (heap_->IsCollecting()) {
    EXPECT_EQ(heap_->Stats().collections, before);
    // The program goes on in between: makes, cuts off, re-attaches.
    Ref<Node> rest = at->next;
    at->other = std::move(rest);
    at->next = heap_->Make<Node>(lives_);
    at->next->next = at->other;
    at = at->next->next.get();
    (void)Drive(microseconds(50));
    ++calls;
  }
  EXPECT_GE(calls, 10);
  EXPECT_EQ(lives_.ended(), 1'000);
  EXPECT_TRUE(heap_->Verify().ok());
}

TEST_F(DriveTest, WhoWaitsForACollectionGetsIt) {
  const Ref<Node> chain = MakeChain();
  MakeRings(*heap_, lives_, 100);
  ASSERT_TRUE(DriveIntoACollection(microseconds(50)));
  EXPECT_TRUE(heap_->IsCollecting());
  (void)heap_->Collect();
  EXPECT_EQ(lives_.ended(), 100);
  MakeRings(*heap_, lives_, 100);
  ASSERT_TRUE(DriveIntoACollection(microseconds(50)));
  EXPECT_TRUE(heap_->Freeze().ok());
  EXPECT_FALSE(heap_->IsCollecting());
  EXPECT_TRUE(heap_->Unfreeze().ok());
}

TEST_F(DriveTest, HeapMayEndInTheMiddleOfItsCollection) {
  Ref<Node> chain = MakeChain();
  MakeRings(*heap_, lives_, 100);
  ASSERT_TRUE(DriveIntoACollection(microseconds(50)));
  const std::unique_ptr<Heap> other = test::NewHeap();
  chain.Reset();
  heap_.reset();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(DriveTest, SwitchedOffTheCollectionGoesOnByItself) {
  const Ref<Node> chain = MakeChain();
  MakeRings(*heap_, lives_, 100);
  ASSERT_TRUE(DriveIntoACollection(microseconds(50)));
  SetCollectorDriven(false);
  EXPECT_TRUE(test::Eventually([this] { return lives_.ended() == 100; }));
}

TEST_F(DriveTest, PendingDropsAndRetiredObjectsAreSettled) {
  Ref<Node> made_there;
  std::thread([&] { made_there = heap_->Make<Node>(lives_); }).join();
  made_there.Reset();  // counted by a thread that has ended: pending
  AtomicRef<Node> cell;
  cell.Store(heap_->Make<Node>(lives_));
  cell.Store(nullptr);  // published: waits for a grace period
  EXPECT_TRUE(test::Eventually([this] {
    (void)Drive(milliseconds(1));
    return lives_.now() == 0;
  }));
  EXPECT_TRUE(test::Eventually([] { return !Drive(milliseconds(1)); })) << "nothing is left";
}

TEST_F(DriveTest, ThreadsTakeTurns) {
  const Ref<Node> chain = MakeChain();
  test::RunThreads(3, [&](int thread) {
    for (int i = 0; i < 100; ++i) {
      MakeRings(*heap_, lives_, 20);
      (void)Drive(microseconds(100));
      if (thread == 0 && i % 25 == 0) (void)heap_->Collect();
    }
  });
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), static_cast<int64_t>(test::Sized(300'000, 50'000)) + 1);
}

TEST_F(DriveTest, MarkersBesideTheThreadAreNotUsed) {
  EXPECT_TRUE(heap_->SetPacing({.growth_percent = 1, .growth_bytes = 0, .marker_threads = 4}).ok());
  const Ref<Node> chain = MakeChain();
  MakeRings(*heap_, lives_, 100);
  ASSERT_TRUE(DriveIntoACollection(microseconds(50)));
  int calls = 0;
  for (; heap_->IsCollecting(); ++calls) (void)Drive(microseconds(50));
  EXPECT_GE(calls, 10) << "it stops at the gate";
  EXPECT_EQ(heap_->Pacing().marker_threads, 4);
}

TEST_F(DriveTest, RefusedUnlessDrivenAndOnItsOwnThread) {
  absl::Status own;
  {
    const CollectionCallback told = heap_->OnCollection(
        [&own](const CollectionEvent&) { own = DriveCollector(milliseconds(1)).status(); });
    (void)heap_->Collect();
  }
  EXPECT_EQ(own.code(), absl::StatusCode::kFailedPrecondition);
  (void)Drive(nanoseconds(0));
  (void)Drive(nanoseconds(-5));
  SetCollectorDriven(false);
  const absl::Status status = DriveCollector(milliseconds(1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("REEF_COLLECTOR_THREAD=0"), absl::string_view::npos);
}

TEST(DriveDeathTest, EnvironmentCountsFromTheFirstHeapOn) {
  EXPECT_EXIT(
      {
        (void)setenv("REEF_COLLECTOR_THREAD", "0", 1);
        const absl::Status status = DriveCollector(milliseconds(1)).status();
        if (status.code() != absl::StatusCode::kFailedPrecondition) std::exit(2);
        if (status.message().find("before the first heap") == absl::string_view::npos) std::exit(3);
        if (IsCollectorDriven()) std::exit(4);
        const std::unique_ptr<Heap> heap = test::NewHeap();
        if (!IsCollectorDriven()) std::exit(5);
        std::exit(DriveCollector(milliseconds(1)).ok() ? 0 : 6);
      },
      testing::ExitedWithCode(0), "");
}

// It makes the default heap.
TEST(DriveDeathTest, SwitchedOnInAMalformedEnvironment) {
  EXPECT_DEATH(
      {
        (void)setenv("REEF_GROWTH_PERCENT", "a lot", 1);
        SetCollectorDriven(true);
      },
      "REEF_GROWTH_PERCENT");
}

TEST(DriveDeathTest, ProcessEndsInTheMiddleOfACollection) {
  EXPECT_EXIT(
      {
        (void)setenv("REEF_COLLECTOR_THREAD", "0", 1);
        HeapOptions options = test::QuietOptions();
        options.automatic_collection = true;
        options.growth_bytes = 0;
        const std::unique_ptr<Heap> heap = test::NewHeap(options);
        if (!IsCollectorDriven()) std::exit(2);
        static Lives lives;
        MakeRings(*heap, lives, 50'000);
        const Ref<Node> kept = heap->Make<Node>(lives);
        for (int i = 0; i < 1'000'000 && !heap->IsCollecting(); ++i) {
          (void)DriveCollector(microseconds(1));
        }
        std::exit(heap->IsCollecting() ? 0 : 3);
      },
      testing::ExitedWithCode(0), "");
}

// After the collector's thread was parked: the heap's end collects on the exiting thread, and
// nobody can be driven any more.
TEST(DriveDeathTest, StaticHeapEndsWithTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the child needs a collector's thread to park
  static Lives lives;
  struct Ender {
    ~Ender() {
      SetCollectorDriven(true);
      heap.reset();
      std::_Exit(lives.now() == 0 && !IsCollectorDriven() && !DriveCollector({}).ok() ? 0 : 4);
    }
    std::unique_ptr<Heap> heap;
  };
  EXPECT_EXIT(
      {
        static Ender ender;
        (void)setenv("REEF_COLLECTOR_THREAD", "0", 1);
        ender.heap = test::NewHeap();
        MakeRings(*ender.heap, lives, 100);
        std::exit(3);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace reef
