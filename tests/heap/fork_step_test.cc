// fork against a collection, at each of its steps, and in what the collector thread runs of the
// program's: the child brings to its end what was begun, everything once, and null stays null.

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
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

using test::EndOf;
using test::Life;
using test::Lives;
using test::StartChild;
using test::Step;
using test::Stepper;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Life life;
  Member<Node> next;
  Member<Node> other;
};

struct Finalizable {
  Finalizable(Lives& lives, std::function<void()> at_finalize)
      : life(lives), call(std::move(at_finalize)) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(Ref<Finalizable> /*self*/) { call(); }
  Life life;
  std::function<void()> call;
  Member<Finalizable> self;
};

class ForkStepTest : public test::QuietHeapTest {
 protected:
  static constexpr int kRings = 200;

  Weak<Node> MakeGarbageRing() {
    Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = heap_->Make<Node>(lives_);
    node->next->next = node;
    return node;
  }
  // Rings of two, each with a weak handle, and with a callback that counts.
  void MakeGarbage() {
    for (int i = 0; i < kRings; ++i) {
      weak_.push_back(MakeGarbageRing());
      watches_.emplace_back(weak_.back().Lock(), [this] { ++called_; });
    }
  }
  void MakeFinalizableGarbage(std::function<void()> call) {
    const Ref<Finalizable> object = heap_->Make<Finalizable>(lives_, std::move(call));
    object->self = object;
  }
  bool AnyLocks() const {
    for (const Weak<Node>& weak : weak_) {
      if (weak.Lock()) return true;
    }
    return false;
  }

  std::vector<Weak<Node>> weak_;
  std::vector<WeakCallback<Node>> watches_;
  std::atomic<int> called_{0};
  std::atomic<int> finalized_{0};
};

// Protocols, section 20, Null again and Lost debts.
TEST_F(ForkStepTest, AtEachStepTheChildFinishesTheCollection) {
  const Ref<Node> kept = heap_->Make<Node>(lives_);
  kept->next = heap_->Make<Node>(lives_);
  const Weak<Node> kept_weak = Ref<Node>(kept->next);
  for (auto i = static_cast<int>(Step::kLogging); i <= static_cast<int>(Step::kFinalized); ++i) {
    const auto step = static_cast<Step>(i);
    if (step == Step::kGarbageKept) continue;  // fork_control_test.cc
    SCOPED_TRACE(i);
    weak_.clear();
    watches_.clear();
    called_ = 0;
    finalized_ = 0;
    MakeGarbage();
    for (int object = 0; object < 10; ++object) {
      MakeFinalizableGarbage([this] { ++finalized_; });
    }
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    // From there on a Lock revives nothing: what it says is for ever.
    const bool null = step >= Step::kDoorClosed;
    if (null) {
      EXPECT_FALSE(AnyLocks());
    }
    const pid_t pid = StartChild([&] {
      collector::g_on_step = nullptr;
      CHILD_CHECK(!null || !AnyLocks());
      (void)heap_->Collect();
      CHILD_CHECK(!AnyLocks());
      CHILD_CHECK(called_ == kRings);
      CHILD_CHECK(finalized_ == 10);
      CHILD_CHECK(lives_.now() == 2);
      CHILD_CHECK(kept_weak.Lock() == kept->next);
      (void)MakeGarbageRing();
      CHILD_CHECK(heap_->Collect().objects == 2);
      CHILD_CHECK(heap_->Verify().ok());
    });
    (void)stepper.Finish();
    EXPECT_EQ(EndOf(pid), "exit 0");
    EXPECT_FALSE(AnyLocks());
    EXPECT_EQ(called_, kRings);
    EXPECT_EQ(finalized_, 10);
    EXPECT_EQ(lives_.now(), 2);
  }
}

// A child of a child that had not begun to finish it.
TEST_F(ForkStepTest, TheChildsChildFinishesItAsWell) {
  for (const Step step : {Step::kMarked, Step::kDoorClosed, Step::kCondemned, Step::kFreed}) {
    SCOPED_TRACE(static_cast<int>(step));
    called_ = 0;
    finalized_ = 0;
    weak_.clear();
    watches_.clear();
    MakeGarbage();
    MakeFinalizableGarbage([this] { ++finalized_; });
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const pid_t pid = StartChild([&] {
      collector::g_on_step = nullptr;
      CHILD_CHECK(test::RunChild([&] {
                    (void)heap_->Collect();
                    CHILD_CHECK(called_ == kRings);
                    CHILD_CHECK(finalized_ == 1);
                    CHILD_CHECK(lives_.now() == 0);
                    CHILD_CHECK(heap_->Verify().ok());
                  }) == "exit 0");
    });
    (void)stepper.Finish();
    EXPECT_EQ(EndOf(pid), "exit 0");
  }
}

// Garbage condemned half: the collector thread is cut off in a destructor that it runs between two
// slabs while the weak door is closed. (A queued drop is settled there.)
TEST_F(ForkStepTest, NullStaysNullWhereCondemningIsCutOff) {
  test::Meeting meeting;
  struct Blocker {
    explicit Blocker(test::Meeting* where) : meeting(where) {}
    ~Blocker() { meeting->Arrive(); }
    test::Meeting* meeting;
  };
  // Garbage in many slabs, so that some of it is behind the poll.
  for (int i = 0; i < 50; ++i) MakeGarbage();
  std::promise<Ref<Blocker>> made;
  std::promise<void> end;
  std::thread owner([&] {
    made.set_value(heap_->Make<Blocker>(&meeting));
    end.get_future().wait();
  });
  Ref<Blocker> blocker = made.get_future().get();
  Stepper stepper(*heap_);
  ASSERT_TRUE(stepper.RunTo(Step::kDoorClosed));
  EXPECT_FALSE(AnyLocks());
  blocker.Reset();  // queued: its owner is elsewhere
  // Polls settle what is queued once a millisecond: the first one that comes is to be due.
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::thread going_on([&] { (void)stepper.Finish(); });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    collector::g_on_step = nullptr;
    CHILD_CHECK(!AnyLocks());
    (void)heap_->Collect();
    CHILD_CHECK(!AnyLocks());
    CHILD_CHECK(called_ == 50 * kRings);
    CHILD_CHECK(lives_.now() == 0);
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  end.set_value();
  owner.join();
  going_on.join();
  EXPECT_EQ(called_, 50 * kRings);
  EXPECT_EQ(lives_.now(), 0);
}

// The one that is running is the parent's; those behind it run in both.
TEST_F(ForkStepTest, DoesNotWaitForAFinalizerAndLosesNoOther) {
  test::Meeting meeting;
  for (int i = 0; i < 10; ++i) {
    MakeFinalizableGarbage([&] {
      if (++finalized_ == 5) meeting.Arrive();
    });
  }
  std::thread collecting([&] { (void)heap_->Collect(); });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    (void)heap_->Collect();
    CHILD_CHECK(finalized_ == 10);
    CHILD_CHECK(lives_.now() == 1);
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
  EXPECT_EQ(finalized_, 10);
  EXPECT_EQ(lives_.now(), 0);
}

// The same of a thread that drops them.
TEST_F(ForkStepTest, FinalizersListedByAnotherThreadRunInTheChild) {
  test::Meeting meeting;
  std::thread dropping([&] {
    std::vector<Ref<Finalizable>> objects;
    for (int i = 0; i < 10; ++i) {
      objects.push_back(heap_->Make<Finalizable>(lives_, [&] { ++finalized_; }));
    }
    // The first one's finalizer drops the others and blocks: they are listed behind it.
    Ref<Finalizable> first = heap_->Make<Finalizable>(lives_, [&] {
      objects.clear();
      meeting.Arrive();
    });
    first.Reset();
  });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    (void)heap_->Collect();
    CHILD_CHECK(finalized_ == 10);
    CHILD_CHECK(lives_.now() == 1);
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  dropping.join();
  EXPECT_EQ(finalized_, 10);
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(ForkStepTest, DoesNotWaitForAWeakCallbackAndLosesNoOther) {
  test::Meeting meeting;
  MakeGarbage();
  const Weak<Node> last = MakeGarbageRing();
  const WeakCallback<Node> blocking(last.Lock(), [&] { meeting.Arrive(); });
  MakeGarbage();
  std::thread collecting([&] { (void)heap_->Collect(); });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    (void)heap_->Collect();
    CHILD_CHECK(called_ == 2 * kRings);
    CHILD_CHECK(lives_.now() == 0);
    CHILD_CHECK(heap_->Verify().ok());
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
  EXPECT_EQ(called_, 2 * kRings);
}

// A callback that is not called, because its handle lies in the same garbage, ends with its handle:
// what it has captured may wait as long as it likes.
TEST_F(ForkStepTest, DoesNotWaitForWhatASilencedCallbackHasCaptured) {
  struct Watching {
    explicit Watching(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(other); }
    Life life;
    Member<Watching> other;
    WeakCallback<Watching> watch;
  };
  struct Captured {
    explicit Captured(test::Meeting* where) : meeting(where) {}
    ~Captured() { meeting->Arrive(); }
    test::Meeting* meeting;
  };
  test::Meeting meeting;
  {
    const Ref<Watching> one = heap_->Make<Watching>(lives_);
    one->other = heap_->Make<Watching>(lives_);
    one->other->other = one;
    one->watch = WeakCallback<Watching>(
        Ref<Watching>(one->other),
        [this, captured = std::make_shared<Captured>(&meeting)] { ++called_; });
  }
  MakeGarbage();
  std::thread collecting([&] { (void)heap_->Collect(); });
  meeting.Await();
  const pid_t pid = StartChild([&] {
    (void)heap_->Collect();
    CHILD_CHECK(called_ == kRings);
    CHILD_CHECK(lives_.now() == 1);  // the lost thread's
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
  EXPECT_EQ(called_, kRings);
  EXPECT_EQ(lives_.now(), 0);
}

// Its registry is taken at the fork: no child finds it held.
TEST_F(ForkStepTest, FinalizersOfNoClassWorkInTheChild) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
      const Ref<Node> node = heap_->Make<Node>(lives_);
      Finalizer finalizer(node, [] {});
      (void)finalizer.Detach();
    }
  });
  const Ref<Node> node = heap_->Make<Node>(lives_);
  Finalizer finalizer(node, [this] { ++called_; });
  for (int i = 0; i < 50; ++i) {
    const pid_t pid = StartChild([&] {
      CHILD_CHECK(finalizer.alive());
      Ref<Node> mine = heap_->Make<Node>(lives_);
      const Finalizer other(mine, [this] { ++called_; });
      mine.Reset();
      CHILD_CHECK(called_ == 1);
      CHILD_CHECK(finalizer());
      CHILD_CHECK(called_ == 2);
    });
    EXPECT_EQ(EndOf(pid), "exit 0");
  }
  stop = true;
  busy.join();
  EXPECT_TRUE(finalizer.alive());
}

}  // namespace
}  // namespace reef
