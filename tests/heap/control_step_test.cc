// The windows of control: a pause, a freeze, kept garbage, while a collection stands at a step.

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/stepper.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;
using test::Step;
using test::Stepper;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

class ControlStepTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode() { return heap_->Make<Node>(lives_); }
  void MakeRings(int count) {
    for (int i = 0; i < count; ++i) {
      const Ref<Node> node = MakeNode();
      node->next = node;
    }
  }
};

// Section 14, Late pause: what has begun shows, and what has not does not begin.
TEST_F(ControlStepTest, PauseFindsTheCollectionThatIsUnderWay) {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.growth_bytes = 0;
  options.growth_percent = 1;
  options.collector_cpu_percent = 100;
  heap_ = test::NewHeap(options);
  MakeRings(10);
  uint64_t collections = 0;
  {
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(Step::kLogging));
    const CollectionPause pause(*heap_);
    EXPECT_TRUE(heap_->IsCollecting());
    (void)stepper.Finish();
    // The last of the request's own may have been pacing's: from its end on nothing starts.
    ASSERT_TRUE(Eventually([this] { return !heap_->IsCollecting(); }));
    collections = heap_->Stats().collections;
    MakeRings(1'000);
    EXPECT_FALSE(
        Eventually([this] { return heap_->IsCollecting(); }, std::chrono::milliseconds(200)));
    EXPECT_EQ(heap_->Stats().collections, collections);
  }
  EXPECT_TRUE(Eventually([this] { return lives_.now() == 0; }));
  EXPECT_GT(heap_->Stats().collections, collections);
}

// Section 14, Painted while armed: an object that is painted frozen before the root scan has come
// to it, or that hangs on one, would keep nothing alive.
TEST_F(ControlStepTest, FreezeWaitsForTheCollectionUnderWay) {
  for (const Step step : {Step::kEverybodyLogs, Step::kBornBlack, Step::kRootsScanned,
                          Step::kMarked, Step::kDoorClosed, Step::kCondemned, Step::kCleared}) {
    SCOPED_TRACE(static_cast<int>(step));
    const Ref<Node> root = MakeNode();
    root->next = MakeNode();
    root->next->next = MakeNode();
    MakeRings(3);
    std::atomic<bool> frozen{false};
    std::thread freezing;
    {
      Stepper stepper(*heap_);
      ASSERT_TRUE(stepper.RunTo(step));
      freezing = std::thread([&] {
        EXPECT_EQ(heap_->Freeze().value(), 3u) << "the garbage has gone by then";
        frozen = true;
      });
      EXPECT_FALSE(Eventually([&frozen] { return frozen.load(); }, std::chrono::milliseconds(50)));
      EXPECT_EQ(heap_->FreezeCount(), 0u);
      (void)stepper.Finish();
    }
    freezing.join();
    EXPECT_EQ(heap_->Collect().objects, 0u);
    EXPECT_EQ(lives_.now(), 3) << "what hangs on a frozen object";
    EXPECT_EQ(heap_->Unfreeze().value(), 3u);
  }
}

}  // namespace
}  // namespace reef
