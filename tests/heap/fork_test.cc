// fork: the child's heaps work, whatever the parent's threads were at; and from wherever it was
// called.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/fork_support.h"
#include "tests/heap/support.h"

#if REEF_TEST_TSAN
// The children create threads.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

namespace reef {
namespace {

using test::EndOf;
using test::Eventually;
using test::Life;
using test::Lives;
using test::RunChild;
using test::StartChild;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, shared); }
  Life life;
  Member<Node> next;
  AtomicMember<Node> shared;
};

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  Life life;
};

// Runs what it is given when it is made, and when it dies.
struct Hook {
  Hook(std::function<void()> birth, std::function<void()> death) : at_death(std::move(death)) {
    if (birth) birth();
  }
  ~Hook() {
    if (at_death) at_death();
  }
  void Trace(Visitor& v) const { v.Visit(next); }
  std::function<void()> at_death;
  Member<Hook> next;
};

class ForkTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeRing(Lives& lives, int length) {
    Ref<Node> first = heap_->Make<Node>(lives);
    Ref<Node> last = first;
    for (int i = 1; i < length; ++i) {
      last->next = heap_->Make<Node>(lives);
      last = last->next;
    }
    last->next = first;
    return first;
  }

  // All that a heap does, in a child. Its objects are its own; it may have any number of threads.
  void CheckHeap() {
    Lives lives;
    Ref<Node> list = heap_->Make<Node>(lives);
    for (int i = 0; i < 5000; ++i) {
      Ref<Node> node = heap_->Make<Node>(lives);
      node->next = std::move(list);
      list = std::move(node);
    }
    list.Reset();
    CHILD_CHECK(lives.now() == 0);

    (void)MakeRing(lives, 100);
    CHILD_CHECK(lives.now() == 100);
    CHILD_CHECK(heap_->Collect().objects >= 100);
    CHILD_CHECK(lives.now() == 0);

    AtomicRef<Node> place(heap_->Make<Node>(lives));
    std::thread([&] {
      place.Load()->next = heap_->Make<Node>(lives);
      Ref<Leaf> away = heap_->Make<Leaf>(lives);
      std::thread([moved = std::move(away)] {}).join();
    }).join();
    place.Store(nullptr);
    CHILD_CHECK(Eventually([&] { return lives.now() == 0; }));

    void* bytes = heap_->Allocate(100'000);
    heap_->Deallocate(bytes);
    const std::unique_ptr<Heap> other = test::NewHeap();
    CHILD_CHECK(other->Make<Leaf>(lives) != nullptr);
    CHILD_CHECK(lives.now() == 0);
  }
};

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
  for (int i = 0; i < 20; ++i) leaves.pop_back();
  EXPECT_EQ(RunChild([&] {
              // The drops in the child find no collector thread: they are settled by themselves.
              leaves.clear();
              (void)heap_->Collect();
              CHILD_CHECK(lives_.now() == 0);
              CheckHeap();
            }),
            "exit 0");
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

TEST_F(ForkTest, FromAThreadThatHasNeverUsedAHeap) {
  std::thread([&] { EXPECT_EQ(RunChild([&] { CheckHeap(); }), "exit 0"); }).join();
}

TEST_F(ForkTest, InsideAReadScope) {
  AtomicRef<Node> place(heap_->Make<Node>(lives_));
  const ReadScope scope;
  const Node* seen = place.Peek(scope);
  EXPECT_EQ(RunChild([&] {
              place.Store(nullptr);
              CHILD_CHECK(!heap_->TryCollect().ok());
              CHILD_CHECK(lives_.now() == 1);
              CHILD_CHECK(!seen->next);
            }),
            "exit 0");
  place.Store(nullptr);
}

TEST_F(ForkTest, InsideAConstructor) {
  std::string end;
  const auto fork_here = [&] { end = RunChild([&] { CHILD_CHECK(!heap_->TryCollect().ok()); }); };
  (void)heap_->Make<Hook>(fork_here, nullptr);
  EXPECT_EQ(end, "exit 0");
}

TEST_F(ForkTest, TheChildOfAConstructorFinishesItsObject) {
  bool child = false;
  {
    pid_t pid = -1;
    Ref<Hook> hook = heap_->Make<Hook>(
        [&] {
          pid = fork();
          child = pid == 0;
        },
        nullptr);
    if (child) {
      (void)alarm(test::kChildPatience);
      hook->next = hook;
      hook.Reset();
      CHILD_CHECK(heap_->Collect().objects == 1);
      CheckHeap();
      _exit(0);
    }
    EXPECT_EQ(EndOf(pid), "exit 0");
  }
}

TEST_F(ForkTest, TheChildOfADestructorGoesOn) {
  pid_t pid = -1;
  Ref<Hook> first = heap_->Make<Hook>(nullptr, [&] { pid = fork(); });
  int died = 0;
  first->next = heap_->Make<Hook>(nullptr, [&] { ++died; });
  first.Reset();
  if (pid == 0) {
    (void)alarm(test::kChildPatience);
    CHILD_CHECK(died == 1);
    CheckHeap();
    CHILD_CHECK(heap_->Verify().ok());
    _exit(0);
  }
  EXPECT_EQ(died, 1);
  EXPECT_EQ(EndOf(pid), "exit 0");
}

TEST_F(ForkTest, OnTheCollectorThreadTheChildMayEndInTheDestructor) {
  std::string end;
  Ref<Hook> hook = heap_->Make<Hook>(nullptr, [&] {
    end = RunChild([&] {
      Lives lives;
      for (int i = 0; i < 1000; ++i) CHILD_CHECK(heap_->Make<Leaf>(lives) != nullptr);
      CHILD_CHECK(lives.now() == 0);
      std::thread([&] { CHILD_CHECK(heap_->TryCollect().ok()); }).join();
    });
  });
  hook->next = hook;
  hook.Reset();
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(end, "exit 0");
}

TEST_F(ForkTest, OnTheCollectorThreadTheChildMustNotReturn) {
  std::array<int, 2> said{};
  ASSERT_EQ(pipe(said.data()), 0);
  pid_t pid = -1;
  Ref<Hook> hook = heap_->Make<Hook>(nullptr, [&] {
    pid = fork();
    if (pid == 0) (void)dup2(said[1], STDERR_FILENO);
  });
  hook->next = hook;
  hook.Reset();
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(EndOf(pid), "signal " + std::to_string(SIGABRT));
  (void)close(said[1]);
  std::array<char, 500> text{};
  EXPECT_GT(read(said[0], text.data(), text.size() - 1), 0);
  EXPECT_NE(std::string(text.data()).find("has forked and returned in the child"),
            std::string::npos)
      << text.data();
  (void)close(said[0]);
}

TEST_F(ForkTest, DoesNotWaitForADestructorThatWaitsForTheForkingThread) {
  std::atomic<bool> waiting{false};
  std::atomic<bool> forked{false};
  Ref<Hook> hook = heap_->Make<Hook>(nullptr, [&] {
    waiting = true;
    waiting.notify_all();
    forked.wait(false);
  });
  hook->next = hook;
  hook.Reset();
  std::thread collecting([&] { EXPECT_EQ(heap_->Collect().objects, 1u); });
  waiting.wait(false);
  const pid_t pid = StartChild([&] { CheckHeap(); });
  forked = true;
  forked.notify_all();
  EXPECT_EQ(EndOf(pid), "exit 0");
  collecting.join();
}

// A collection is cut off when its first destructor is running: the child finishes what it had
// condemned.
TEST_F(ForkTest, GarbageThatTheParentHadCondemnedIsFreedInTheChild) {
  constexpr int kRings = 1000;
  std::atomic<bool> waiting{false};
  std::atomic<bool> forked{false};
  Ref<Hook> hook = heap_->Make<Hook>(nullptr, [&] {
    waiting = true;
    waiting.notify_all();
    forked.wait(false);
  });
  hook->next = hook;
  hook.Reset();
  for (int i = 0; i < kRings; ++i) (void)MakeRing(lives_, 10);
  std::thread collecting([&] { (void)heap_->Collect(); });
  waiting.wait(false);
  const pid_t pid = StartChild([&] {
    (void)heap_->Collect();
    // Of the slab whose garbage was being freed the blocks that had been destroyed are lost.
    CHILD_CHECK(lives_.now() == 0);
    CheckHeap();
  });
  forked = true;
  forked.notify_all();
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
