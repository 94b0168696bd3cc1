// fork, from wherever it is called: the child goes on there, and its heaps work.

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/fork_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::EndOf;
using test::Life;
using test::Lives;
using test::RunChild;
using test::StartChild;

class ForkFromTest : public test::ForkTest {
 protected:
  // The part of a child that has come back from fork where its parent has.
  template <typename Body>
  [[noreturn]] void EndAfter(const Body& body) {
    if (test::kSanitized) _exit(0);  // see StartChild
    (void)alarm(test::kChildPatience);
    body();
    CheckHeap();
    CHILD_CHECK(heap_->Verify().ok());
    _exit(0);
  }
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

TEST_F(ForkFromTest, FromAThreadThatHasNeverUsedAHeap) {
  std::thread([&] { EXPECT_EQ(RunChild([&] { CheckHeap(); }), "exit 0"); }).join();
}

TEST_F(ForkFromTest, InsideAReadScope) {
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

TEST_F(ForkFromTest, InsideAConstructor) {
  std::string end;
  const auto fork_here = [&] { end = RunChild([&] { CHILD_CHECK(!heap_->TryCollect().ok()); }); };
  (void)heap_->Make<Hook>(fork_here, nullptr);
  EXPECT_EQ(end, "exit 0");
}

TEST_F(ForkFromTest, TheChildOfAConstructorFinishesItsObject) {
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
      EndAfter([&] {
        hook->next = hook;
        hook.Reset();
        CHILD_CHECK(heap_->Collect().objects == 1);
      });
    }
    EXPECT_EQ(EndOf(pid), "exit 0");
  }
}

TEST_F(ForkFromTest, TheChildOfADestructorGoesOn) {
  pid_t pid = -1;
  Ref<Hook> first = heap_->Make<Hook>(nullptr, [&] { pid = fork(); });
  int died = 0;
  first->next = heap_->Make<Hook>(nullptr, [&] { ++died; });
  first.Reset();
  if (pid == 0) EndAfter([&] { CHILD_CHECK(died == 1); });
  EXPECT_EQ(died, 1);
  EXPECT_EQ(EndOf(pid), "exit 0");
}

// Runs what it is given when its finalizer falls due.
struct Finalizable {
  explicit Finalizable(std::function<void()> call) : at_finalize(std::move(call)) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(Ref<Finalizable> /*self*/) { at_finalize(); }
  std::function<void()> at_finalize;
  Member<Finalizable> self;
};

TEST_F(ForkFromTest, TheChildOfAFinalizerGoesOn) {
  pid_t pid = -1;
  Weak<Finalizable> weak;
  {
    const Ref<Finalizable> object = heap_->Make<Finalizable>([&] { pid = fork(); });
    weak = object;
  }
  if (pid == 0) EndAfter([&] { CHILD_CHECK(!weak.Lock()); });
  EXPECT_FALSE(weak.Lock());
  EXPECT_EQ(EndOf(pid), "exit 0");
}

TEST_F(ForkFromTest, TheChildOfAWeakCallbackGoesOn) {
  pid_t pid = -1;
  int called = 0;
  Ref<Leaf> leaf = heap_->Make<Leaf>(lives_);
  const WeakCallback<Leaf> first(leaf, [&] { ++called; });
  const WeakCallback<Leaf> second(leaf, [&] { pid = fork(); });
  leaf.Reset();
  if (pid == 0) {
    EndAfter([&] {
      CHILD_CHECK(called == 1);
      CHILD_CHECK(lives_.now() == 0);
    });
  }
  EXPECT_EQ(called, 1);
  EXPECT_EQ(EndOf(pid), "exit 0");
}

TEST_F(ForkFromTest, TheChildOfALimitsCallbackGoesOn) {
  pid_t pid = -1;
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{4} << 20;
  options.on_limit = [&](const LimitReport&) {
    if (pid == -1) pid = fork();
  };
  const std::unique_ptr<Heap> full = test::NewHeap(options);
  std::vector<Ref<Leaf>> leaves;
  for (auto leaf = full->TryMake<Leaf>(lives_); leaf.ok(); leaf = full->TryMake<Leaf>(lives_)) {
    leaves.push_back(*std::move(leaf));
  }
  const auto empty = [&] {
    leaves.clear();
    (void)full->Collect();
    return full->TryMake<Leaf>(lives_).ok();
  };
  if (pid == 0) EndAfter([&] { CHILD_CHECK(empty()); });
  EXPECT_TRUE(empty());
  EXPECT_EQ(EndOf(pid), "exit 0");
}

// What the collector thread runs of the program's, one kind each.
class OnTheCollectorThread : public ForkFromTest {
 protected:
  // Makes garbage, or whatever it takes, so that the next collection calls `call`.
  using Prepare = std::function<void(std::function<void()> call)>;

  void MakeRingWithAHook(std::function<void()> call) {
    const Ref<Hook> hook = heap_->Make<Hook>(nullptr, std::move(call));
    hook->next = hook;
  }

  const Prepare destructor_ = [this](auto call) { MakeRingWithAHook(std::move(call)); };
  const Prepare finalizer_ = [this](auto call) {
    const Ref<Finalizable> object = heap_->Make<Finalizable>(std::move(call));
    object->self = object;
  };
  const Prepare weak_callback_ = [this](auto call) {
    const Ref<Node> ring = MakeRing(lives_, 2);
    watch_ = WeakCallback<Node>(ring, std::move(call));
  };
  const Prepare captures_ = [this](auto call) {
    // A callback that is not to be called, because its handle is garbage as well; what it has
    // captured ends all the same.
    struct Watcher {
      explicit Watcher(Lives& lives) : life(lives) {}
      void Trace(Visitor& v) const { v.Visit(other); }
      Life life;
      Member<Watcher> other;
      WeakCallback<Watcher> watch;
    };
    const Ref<Watcher> first = heap_->Make<Watcher>(lives_);
    first->other = heap_->Make<Watcher>(lives_);
    first->other->other = first;
    std::shared_ptr<void> captured(nullptr, [call = std::move(call)](void*) { call(); });
    first->watch = WeakCallback<Watcher>(first->other, [captured] {});
  };
  const Prepare collection_callback_ = [this](auto call) {
    collections_ = heap_->OnCollection([call = std::move(call), once = true](auto&) mutable {
      if (std::exchange(once, false)) call();
    });
  };
  struct Kind {
    const Prepare& prepare;
    uint64_t objects;  // that the collection finds
  };
  const std::array<Kind, 5> kinds_ = {{{destructor_, 1},
                                       {finalizer_, 1},
                                       {weak_callback_, 2},
                                       {captures_, 2},
                                       {collection_callback_, 0}}};

  WeakCallback<Node> watch_;
  CollectionCallback collections_;
};

TEST_F(OnTheCollectorThread, TheChildMayEndInTheProgramsCode) {
  for (const Kind& kind : kinds_) {
    std::string end;
    kind.prepare([&] {
      end = RunChild([&] {
        Lives lives;
        for (int i = 0; i < 1000; ++i) CHILD_CHECK(heap_->Make<Leaf>(lives) != nullptr);
        std::thread([&] { CHILD_CHECK(heap_->TryCollect().ok()); }).join();
      });
    });
    EXPECT_EQ(heap_->Collect().objects, kind.objects);
    EXPECT_EQ(end, "exit 0");
  }
}

TEST_F(OnTheCollectorThread, TheChildMustNotReturnFromIt) {
  for (const Kind& kind : kinds_) {
    std::array<int, 2> said{};
    ASSERT_EQ(pipe(said.data()), 0);
    pid_t pid = -1;
    kind.prepare([&] {
      pid = fork();
      if (pid == 0) (void)dup2(said[1], STDERR_FILENO);
    });
    EXPECT_EQ(heap_->Collect().objects, kind.objects);
    EXPECT_EQ(EndOf(pid), "signal " + std::to_string(SIGABRT));
    (void)close(said[1]);
    std::array<char, 500> text{};
    EXPECT_GT(read(said[0], text.data(), text.size() - 1), 0);
    EXPECT_NE(std::string(text.data()).find("has forked and returned in the child"),
              std::string::npos)
        << text.data();
    (void)close(said[0]);
  }
}

TEST_F(OnTheCollectorThread, ForkDoesNotWaitForWhatWaitsForTheForkingThread) {
  for (const Kind& kind : kinds_) {
    test::Meeting meeting;
    kind.prepare([&] { meeting.Arrive(); });
    std::thread collecting([&] { EXPECT_EQ(heap_->Collect().objects, kind.objects); });
    meeting.Await();
    const pid_t pid = StartChild([&] { CheckHeap(); });
    meeting.LetGo();
    EXPECT_EQ(EndOf(pid), "exit 0");
    collecting.join();
  }
}

}  // namespace
}  // namespace reef
