// fork where the program controls its collections: the gate, callbacks, pauses, kept garbage.

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/collector/step.h"
#include "reef/reef.h"
#include "tests/heap/fork_support.h"
#include "tests/heap/stepper.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using test::EndOf;
using test::Eventually;
using test::Life;
using test::Lives;
using test::RunChild;
using test::StartChild;
using test::Step;
using test::Stepper;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

class ForkControlTest : public test::QuietHeapTest {
 protected:
  void MakeRings(int count) {
    for (int i = 0; i < count; ++i) {
      const Ref<Node> node = heap_->Make<Node>(lives_);
      node->next = node;
    }
  }
};

// In the middle of a collection, and for as long as nobody drives it.
TEST_F(ForkControlTest, DoesNotWaitForACollectorThatStandsAtItsGate) {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.growth_bytes = 0;
  options.growth_percent = 1;
  options.collector_cpu_percent = 100;
  heap_ = test::NewHeap(options);
  SetCollectorDriven(true);
  EXPECT_TRUE(Eventually([] { return !DriveCollector(milliseconds(100)).value_or(true); }));
  Ref<Node> chain = heap_->Make<Node>(lives_);
  for (size_t i = 0; i < test::Sized(100'000, 30'000); ++i) {
    Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = std::move(chain);
    chain = std::move(node);
  }
  const int64_t living = lives_.now();
  MakeRings(100);
  ASSERT_TRUE(Eventually([this] {
    (void)DriveCollector(microseconds(50));
    return heap_->IsCollecting();
  }));
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(IsCollectorDriven());
              CHILD_CHECK(!heap_->IsCollecting());
              CHILD_CHECK(Eventually([&] {
                (void)DriveCollector(milliseconds(1));
                return lives_.now() == living;
              }));
              MakeRings(1);
              CHILD_CHECK(heap_->Collect().objects == 1);
              CHILD_CHECK(heap_->Freeze().ok());
              SetCollectorDriven(false);
              CHILD_CHECK(heap_->Verify().ok());
            }),
            "exit 0");
  EXPECT_TRUE(heap_->IsCollecting());
  SetCollectorDriven(false);
  EXPECT_TRUE(Eventually([&] { return lives_.now() == living; }));
}

// Others wait at the gate, or hold it open, when the process forks.
TEST_F(ForkControlTest, WhoDrivesInTheParentIsNobodyInTheChild) {
  SetCollectorDriven(true);
  std::atomic<bool> stop{false};
  std::thread driving([&] {
    while (!stop) (void)DriveCollector(milliseconds(1));
  });
  std::thread collecting([&] {
    while (!stop) (void)heap_->Collect();
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(RunChild([&] {
                MakeRings(10);
                CHILD_CHECK(heap_->Collect().objects >= 10);
                CHILD_CHECK(DriveCollector(milliseconds(1)).ok());
              }),
              "exit 0");
  }
  stop = true;
  SetCollectorDriven(false);
  driving.join();
  collecting.join();
}

TEST_F(ForkControlTest, ACallbackThatRunsIsCutOff) {
  std::atomic<int> events{0};
  test::Meeting meeting;
  CollectionCallback callback = heap_->OnCollection([&](const CollectionEvent& event) {
    ++events;
    if (event.number != 1 || event.moment != CollectionEvent::Moment::kStart) return;
    meeting.Arrive();
  });
  MakeRings(10);
  std::thread collecting([&] { (void)heap_->Collect(); });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    CHILD_CHECK(events == 1);
    CHILD_CHECK(heap_->Collect().objects == 10);
    CHILD_CHECK(events >= 3);
    const int before = events;
    callback.Reset();
    (void)heap_->Collect();
    CHILD_CHECK(events == before);
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
}

// What a function that ended its own registration has captured is the program's: it ends where user
// code may run, not in the middle of the fork.
TEST_F(ForkControlTest, ACutOffCallbackThatHadEndedItselfEndsOnTheChildsCollector) {
  struct Captured {
    explicit Captured(std::atomic<int>* count, Heap* heap) : ends(count), target(heap) {}
    ~Captured() {
      (void)target->Stats();
      ++*ends;
    }
    std::atomic<int>* ends;
    Heap* target;
  };
  std::atomic<int> ends{0};
  std::atomic<bool> waiting{false};
  std::atomic<bool> forked{false};
  CollectionCallback callback;
  callback = heap_->OnCollection(
      [&, captured = std::make_shared<Captured>(&ends, heap_.get())](const CollectionEvent&) {
        callback.Reset();
        waiting = true;
        waiting.notify_all();
        forked.wait(false);
      });
  std::thread collecting([&] { (void)heap_->Collect(); });
  waiting.wait(false);
  const pid_t pid = StartChild([&] {
    CHILD_CHECK(ends == 0);
    (void)heap_->Collect();
    CHILD_CHECK(ends == 1);
  });
  EXPECT_EQ(ends, 0);
  forked = true;
  forked.notify_all();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
  EXPECT_EQ(ends, 1);
}

TEST_F(ForkControlTest, KeptGarbageIsKeptInBoth) {
  heap_->SetDebug({.keep_garbage = true});
  MakeRings(5);
  Stepper stepper(*heap_);
  ASSERT_TRUE(stepper.RunTo(Step::kGarbageKept));
  const pid_t pid = StartChild([&] {
    collector::g_on_step = nullptr;
    CHILD_CHECK(heap_->TakeGarbage().size() == 5);
    CHILD_CHECK(heap_->TakeGarbage().empty());
    heap_->SetDebug({});
    (void)heap_->Collect();
    CHILD_CHECK(lives_.now() == 0);
  });
  (void)stepper.Finish();
  EXPECT_EQ(EndOf(pid), "exit 0");
  EXPECT_EQ(heap_->TakeGarbage().size(), 5u);
  heap_->SetDebug({});
}

TEST_F(ForkControlTest, FrozenObjectsStaySo) {
  const Ref<Node> kept = heap_->Make<Node>(lives_);
  MakeRings(3);
  ASSERT_TRUE(heap_->Freeze().ok());
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(heap_->FreezeCount() == 4);
              CHILD_CHECK(heap_->Collect().objects == 0);
              CHILD_CHECK(heap_->Unfreeze().value_or(0) == 4);
              CHILD_CHECK(heap_->Collect().objects == 3);
            }),
            "exit 0");
  EXPECT_EQ(heap_->FreezeCount(), 4u);
  ASSERT_TRUE(heap_->Unfreeze().ok());
}

}  // namespace
}  // namespace reef
