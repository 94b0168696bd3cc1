// The end of the process with everything at work: exit from main and from another thread, in the
// middle of collections, by quick_exit, inside a destructor, while a destructor does not return.
// Each in a process of its own (see test_main.cc).

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  void Trace(Visitor& v) const { v.Visit(next, shared); }
  Member<Node> next;
  AtomicMember<Node> shared;
};

// Uses the heap when the program's statics are destroyed.
struct Statics {
  ~Statics() {
    for (Ref<Node>& node : held) node.Reset();
    const Ref<Node> late = Make<Node>();
    late->next = late;
    place.Store(nullptr);
    place.Store(Make<Node>());
    std::fputs("statics are gone\n", stderr);
  }
  std::vector<Ref<Node>> held;
  AtomicRef<Node> place;
};

// Collections without a pause, and threads that go on to the last moment.
void StartWork(Statics* statics) {
  for (int i = 0; i < 1000; ++i) {
    statics->held.push_back(Make<Node>());
    statics->held.back()->next = statics->held.front();
  }
  statics->place.Store(statics->held.back());
  std::atomic<int> running{0};
  std::thread([&running] {
    for (bool first = true;; first = false) {
      (void)DefaultHeap().Collect();
      if (first) ++running;
    }
  }).detach();
  std::thread([&running] {
    for (bool first = true;; first = false) {
      const Ref<Node> ring = Make<Node>();
      ring->next = ring;
      ring->shared.Store(Make<Node>());
      if (first) ++running;
    }
  }).detach();
  while (running.load() != 2) std::this_thread::yield();
}

TEST(ProcessEndTest, ExitWhileCollectionsRun) {
  const auto child = [] {
    static Statics statics;
    StartWork(&statics);
    std::exit(7);
  };
  for (int i = 0; i < 5; ++i) {
    EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "statics are gone");
  }
}

TEST(ProcessEndTest, ExitOnAnotherThread) {
  const auto child = [] {
    static Statics statics;
    StartWork(&statics);
    std::thread([] { std::exit(7); }).join();
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "statics are gone");
}

TEST(ProcessEndTest, QuickExitLeavesStaticsAlone) {
  const auto child = [] {
    static Statics statics;
    StartWork(&statics);
    std::quick_exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "^$");
}

struct Exits {
  ~Exits() { std::exit(7); }
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Exits> next;
};

TEST(ProcessEndTest, ExitInADestructor) {
  const auto child = [] {
    static Statics statics;
    StartWork(&statics);
    (void)Make<Exits>();
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "statics are gone");
}

TEST(ProcessEndTest, ExitInADestructorOnTheCollectorThread) {
  const auto child = [] {
    static Statics statics;
    StartWork(&statics);
    Ref<Exits> ring = Make<Exits>();
    ring->next = ring;
    ring.Reset();
    for (;;) (void)DefaultHeap().Collect();
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "statics are gone");
}

TEST(ProcessEndTest, HeapsThatAreNeverDestroyed) {
  const auto child = [] {
    static const std::unique_ptr<Heap> heap = test::NewHeap();
    static Ref<Node> node = heap->Make<Node>();
    // The static Ref goes first, then the heap, which is empty then.
    std::exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "^$");
}

}  // namespace
}  // namespace reef
