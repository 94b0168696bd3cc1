// fork: the child's heaps work, whatever the parent's threads were at.

#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <future>
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

#if REEF_TEST_TSAN
// The children create threads.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

namespace reef {
namespace {

using test::EndOf;
using test::Eventually;
using test::ForkTest;
using test::RunChild;
using test::StartChild;

TEST_F(ForkTest, ChildAllocatesDropsAndCollects) {
  EXPECT_EQ(RunChild([&] {
              CheckHeap();
              CHILD_CHECK(heap_->Verify().ok());
            }),
            "exit 0");
}

TEST_F(ForkTest, ChildAndParentEachHaveTheirOwnCopy) {
  Ref<Node> ring = MakeRing(lives_, 50);
  const Ref<Node> kept = heap_->Make<Node>(lives_);
  EXPECT_EQ(RunChild([&] {
              ring.Reset();
              CHILD_CHECK(heap_->Collect().objects == 50);
              kept->next = heap_->Make<Node>(lives_);
              CHILD_CHECK(lives_.now() == 2);
              CHILD_CHECK(heap_->Verify().ok());
            }),
            "exit 0");
  EXPECT_EQ(lives_.now(), 51);
  EXPECT_FALSE(kept->next);
  ring.Reset();
  EXPECT_EQ(heap_->Collect().objects, 50u);
}

TEST_F(ForkTest, ChildrenFork) {
  std::function<void(int)> descend = [&](int generation) {
    CheckHeap();
    if (generation == 0) return;
    CHILD_CHECK(RunChild([&] { descend(generation - 1); }) == "exit 0");
    CheckHeap();
  };
  EXPECT_EQ(RunChild([&] { descend(4); }), "exit 0");
}

TEST_F(ForkTest, PendingRevocationsAreCarriedOutInTheChild) {
  std::promise<std::vector<Ref<Leaf>>> made;
  std::promise<void> end;
  // The owner stays where it is: in the child it is gone.
  std::thread owner([&] {
    std::vector<Ref<Leaf>> leaves;
    for (int i = 0; i < 40; ++i) leaves.push_back(heap_->Make<Leaf>(lives_));
    made.set_value(std::move(leaves));
    end.get_future().wait();
  });
  std::vector<Ref<Leaf>> leaves = made.get_future().get();
  {
    // The collector thread is kept from carrying them out.
    test::Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(test::Step::kLogging));
    for (int i = 0; i < 20; ++i) leaves.pop_back();
    EXPECT_GE(heap_->Stats().pending_revocations, 20u);
    EXPECT_EQ(RunChild([&] {
                collector::g_on_step = nullptr;
                CHILD_CHECK(heap_->Stats().pending_revocations >= 20);
                // The drops in the child find no collector thread: they are settled by themselves.
                leaves.clear();
                (void)heap_->Collect();
                CHILD_CHECK(lives_.now() == 0);
                CheckHeap();
              }),
              "exit 0");
  }
  end.set_value();
  owner.join();
  EXPECT_EQ(leaves.size(), 20u);
  leaves.clear();
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

TEST_F(ForkTest, DropsWithoutACollectorThreadAreSettledByTheirThread) {
  std::promise<Ref<Leaf>> made;
  std::promise<void> end;
  std::thread owner([&] {
    made.set_value(heap_->Make<Leaf>(lives_));
    end.get_future().wait();
  });
  Ref<Leaf> leaf = made.get_future().get();
  EXPECT_EQ(RunChild([&] {
              leaf.Reset();
              CHILD_CHECK(lives_.now() == 0);
            }),
            "exit 0");
  end.set_value();
  owner.join();
}

TEST_F(ForkTest, RetiredObjectsAreReclaimedInTheChild) {
  AtomicRef<Node> place;
  for (int i = 0; i < 100; ++i) place.Store(heap_->Make<Node>(lives_));
  EXPECT_EQ(RunChild([&] {
              for (int i = 0; i < 100; ++i) place.Store(heap_->Make<Node>(lives_));
              place.Store(nullptr);
              CHILD_CHECK(Eventually([&] { return lives_.now() == 0; }));
            }),
            "exit 0");
  place.Store(nullptr);
}

TEST_F(ForkTest, RefsOnOtherThreadsStacksAreKeptInTheChild) {
  std::promise<const Node*> made;
  std::promise<void> end;
  std::thread holder([&] {
    const Ref<Node> held = MakeRing(lives_, 10);
    made.set_value(held.get());
    end.get_future().wait();
  });
  (void)made.get_future().get();
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(heap_->Collect().objects == 0);
              CHILD_CHECK(lives_.now() == 10);
            }),
            "exit 0");
  end.set_value();
  holder.join();
  EXPECT_EQ(heap_->Collect().objects, 10u);
}

// A collection is cut off when its first destructor is running: the child finishes what it had
// condemned.
TEST_F(ForkTest, GarbageThatTheParentHadCondemnedIsFreedInTheChild) {
  constexpr int kRings = 1000;
  struct Waits {
    explicit Waits(test::Meeting& where) : meeting(where) {}
    ~Waits() { meeting.Arrive(); }
    void Trace(Visitor& v) const { v.Visit(self); }
    test::Meeting& meeting;
    Member<Waits> self;
  };
  test::Meeting meeting;
  Ref<Waits> waits = heap_->Make<Waits>(meeting);
  waits->self = waits;
  waits.Reset();
  for (int i = 0; i < kRings; ++i) (void)MakeRing(lives_, 10);
  std::thread collecting([&] { (void)heap_->Collect(); });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    (void)heap_->Collect();
    // Of the slab whose garbage was being freed the blocks that had been destroyed are lost.
    CHILD_CHECK(lives_.now() == 0);
    CheckHeap();
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(ForkTest, SeveralMarkersInParentAndChild) {
  HeapOptions options = test::QuietOptions();
  options.marker_threads = 3;
  heap_ = test::NewHeap(options);
  const Ref<Node> ring = MakeRing(lives_, 20'000);
  const test::ConstantCollector collector(*heap_);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(RunChild([&] {
                CheckHeap();
                CHILD_CHECK(lives_.now() == 20'000);
              }),
              "exit 0");
  }
}

TEST_F(ForkTest, SeveralThreadsForkAtOnce) {
  test::RunThreads(3, [&](int) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(RunChild([&] { CheckHeap(); }), "exit 0");
  });
}

TEST_F(ForkTest, ChildEndsByExit) {
  EXPECT_EQ(RunChild([&] {
              CheckHeap();
              std::exit(0);
            }),
            "exit 0");
  EXPECT_EQ(RunChild([&] { std::exit(0); }), "exit 0") << "without a collector thread";
}

TEST_F(ForkTest, ChildrenThatExecuteAnotherProgram) {
  const test::ConstantCollector collector(*heap_);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(RunChild([] {
                (void)execl("/bin/true", "true", nullptr);
                _exit(1);
              }),
              "exit 0");
    EXPECT_EQ(std::system("true"), 0);
  }
}

}  // namespace
}  // namespace reef
