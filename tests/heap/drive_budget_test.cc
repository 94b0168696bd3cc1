// What one call of DriveCollector takes and answers: it stops between any two slabs and batches,
// and asks to be called again only for what can be done.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/collector/step.h"
#include "reef/reef.h"
#include "tests/heap/drive_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using collector::Step;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using test::Eventually;
using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  ~Node() {
    if (at_end) at_end();
  }
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
  std::function<void()> at_end;
};

// With a finalizer, so that a collection looks whether it is due.
struct Finalizable {
  explicit Finalizable(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(const Ref<Finalizable>&) {}
  Life life;
  Member<Finalizable> next;
};

// The last step that the collector has passed.
std::atomic<int> g_step{0};

class DriveBudgetTest : public test::DrivenTest {
 protected:
  static constexpr int kSteps = static_cast<int>(Step::kFinalized) + 1;

  DriveBudgetTest() {
    collector::g_on_step.store([](Step step) { g_step = static_cast<int>(step); });
  }
  ~DriveBudgetTest() override {
    while (heap_->IsCollecting()) (void)Drive(hours(1));
    collector::g_on_step.store(nullptr);
  }
  // Drives a collection that has begun to its end, and says how many calls ended after each step.
  std::array<int, kSteps> CallsByStep() {
    std::array<int, kSteps> calls{};
    while (heap_->IsCollecting()) {
      (void)Drive(nanoseconds(0));
      ++calls[static_cast<size_t>(g_step)];
    }
    return calls;
  }
  void MakeRing() {
    const Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = node;
  }
};

TEST_F(DriveBudgetTest, EveryPassOverTheHeapStopsBetweenSlabs) {
  // Slabs with living objects, garbage, and finalizers that are not due.
  Ref<Finalizable> finalizable = heap_->Make<Finalizable>(lives_);
  Ref<Node> chain = heap_->Make<Node>(lives_);
  const size_t count = test::Sized(100'000, 30'000);
  for (size_t i = 0; i < count; ++i) {
    Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = std::move(chain);
    chain = std::move(node);
    Ref<Finalizable> other = heap_->Make<Finalizable>(lives_);
    other->next = std::move(finalizable);
    finalizable = std::move(other);
    if (i % 10 == 0) MakeRing();
  }
  const int slabs = static_cast<int>(count * (sizeof(Node) + sizeof(Finalizable)) / 65'536);
  const int half = static_cast<int>(count * sizeof(Node) / 65'536);
  ASSERT_GT(half, 20);
  ASSERT_TRUE(DriveIntoACollection(nanoseconds(0)));
  const std::array<int, kSteps> calls = CallsByStep();
  const auto after = [&calls](Step step) { return calls[static_cast<size_t>(step)]; };
  EXPECT_GE(after(Step::kBornBlack), slabs) << "the scan of the roots";
  EXPECT_GE(after(Step::kRootsScanned), static_cast<int>(2 * count / 2100)) << "marking";
  EXPECT_GE(after(Step::kLogsTaken), slabs) << "the search for due finalizers";
  EXPECT_GE(after(Step::kDoorClosed), slabs) << "condemning";
  EXPECT_GE(after(Step::kCallbacksRun), half) << "clearing";
  EXPECT_GE(after(Step::kCleared), half) << "freeing";
}

TEST_F(DriveBudgetTest, CallsTakeLittleMoreThanTheirBudget) {
  Ref<Node> chain = heap_->Make<Node>(lives_);
  for (size_t i = 0; i < test::Sized(300'000, 50'000); ++i) {
    Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = std::move(chain);
    chain = std::move(node);
    if (i % 10 == 0) MakeRing();
  }
  ASSERT_TRUE(DriveIntoACollection(nanoseconds(0)));
  // In time that this process had a processor for: the machine may be busy.
  const auto now = [] {
    timespec time{};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
  };
  std::vector<nanoseconds> calls;
  while (heap_->IsCollecting()) {
    const nanoseconds start = now();
    (void)Drive(microseconds(200));
    calls.push_back(now() - start);
  }
  ASSERT_GE(calls.size(), 10u);
  std::sort(calls.begin(), calls.end());
  EXPECT_LT(calls[calls.size() * 9 / 10], milliseconds(test::kSlowBuild ? 20 : 2));
}

// The root scan waits a moment for scopes that are open.
TEST_F(DriveBudgetTest, OwnReadScopeHoldsUpNoCall) {
  MakeRing();
  const ReadScope scope;
  ASSERT_TRUE(DriveIntoACollection(nanoseconds(0)));
  const std::array<int, kSteps> calls = CallsByStep();
  EXPECT_GE(calls[static_cast<size_t>(Step::kBornBlack)], 10);
}

TEST_F(DriveBudgetTest, WhatMustWaitIsNoReasonToCallAgain) {
  AtomicRef<Node> cell;
  {
    const test::Sleeper sleeper;
    cell.Store(heap_->Make<Node>(lives_));
    cell.Store(nullptr);  // waits for the sleeper
    int calls = 1;
    while (Drive(hours(1))) ++calls;
    EXPECT_LE(calls, 5);
    EXPECT_EQ(lives_.now(), 1);
    EXPECT_GT(heap_->Stats().retired_bytes, 0u);
  }
  EXPECT_TRUE(Eventually([this] {
    (void)Drive(hours(1));
    return lives_.now() == 0;
  }));
}

// Who waits for a collection holds the gate open, and has the collector wait for the sleeper.
TEST_F(DriveBudgetTest, AnotherThreadsRequestHoldsUpNoCall) {
  AtomicRef<Node> cell;
  {
    const test::Sleeper sleeper;
    cell.Store(heap_->Make<Node>(lives_));
    cell.Store(nullptr);
    std::atomic<bool> done{false};
    std::thread collecting([&] {
      (void)heap_->Collect();
      done = true;
    });
    int cut_off = 0;
    while (!done) cut_off += Drive(milliseconds(1)) ? 1 : 0;
    collecting.join();
    EXPECT_GE(cut_off, 15) << "in a tenth of a second; the root scan's own patience is five";
  }
  EXPECT_FALSE(Drive(hours(1)));
}

TEST_F(DriveBudgetTest, WhatCanBeDoneIsDoneByOneCall) {
  // Each of these is found when the one before it has gone.
  AtomicRef<Node> cell;
  Ref<Node> chain;
  std::thread([&] {
    for (int i = 0; i < 200; ++i) {
      Ref<Node> node = heap_->Make<Node>(lives_);
      node->next = std::move(chain);
      chain = std::move(node);
    }
  }).join();
  cell.Store(heap_->Make<Node>(lives_));
  cell.Load()->next = std::move(chain);
  cell.Store(nullptr);
  EXPECT_FALSE(Drive(hours(1)));
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(DriveBudgetTest, WorksInADestructorOnAThreadOfTheProgram) {
  for (int i = 0; i < 100; ++i) MakeRing();
  Ref<Node> node = heap_->Make<Node>(lives_);
  node->at_end = [this] {
    EXPECT_TRUE(Eventually([this] {
      (void)Drive(milliseconds(1));
      return lives_.now() == 1;
    }));
  };
  node.Reset();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(DriveBudgetTest, BudgetsAtTheEndsOfTheirRange) {
  for (int i = 0; i < 1'000; ++i) MakeRing();
  EXPECT_TRUE(Eventually([this] {
    EXPECT_FALSE(Drive(nanoseconds::max())) << "it is never cut off";
    return lives_.now() == 0;
  }));
  (void)Drive(nanoseconds::min());
}

TEST_F(DriveBudgetTest, SwitchingOffAnswersWhoDrives) {
  std::atomic<bool> reached{false};
  std::atomic<bool> leave{false};
  {
    const Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = node;
    node->at_end = [&] {
      reached = true;
      leave.wait(false);
    };
  }
  std::thread driving([&] {
    while (!reached) (void)DriveCollector(hours(1));
  });
  EXPECT_TRUE(Eventually([&] { return reached.load(); }));
  SetCollectorDriven(false);
  driving.join();  // while the destructor stands where it does
  EXPECT_EQ(lives_.now(), 1);
  leave = true;
  leave.notify_all();
  EXPECT_TRUE(Eventually([this] { return lives_.now() == 0; }));
  SetCollectorDriven(true);
}

}  // namespace
}  // namespace reef
