// The end of the process with everything at work: exit from main and from another thread, in the
// middle of collections, by quick_exit, inside a destructor, while a destructor does not return;
// with heaps that are never destroyed, and with static ones.
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

// --- heaps that are statics: their destructors run while the process ends ---

TEST(ProcessEndTest, StaticHeapThatIsEmpty) {
  const auto child = [] {
    static const std::unique_ptr<Heap> heap = test::NewHeap();
    static Ref<Node> node = heap->Make<Node>();
    // The static Ref goes first, then the heap, which is empty then.
    std::exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "^$");
}

TEST(ProcessEndTest, StaticHeapWithObjectsReportsThem) {
  const auto child = [] {
    static Ref<Node> node;
    static const std::unique_ptr<Heap> heap = test::NewHeap();
    node = heap->Make<Node>();
    std::exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7),
              "destroyed while 1 of its objects are still referred to");
}

// What is to be collected, and how.
struct Garbage {
  explicit Garbage(void (*its_end)()) : end(its_end) {}
  ~Garbage() { end(); }
  void Trace(Visitor& v) const { v.Visit(self); }
  void (*end)();
  Member<Garbage> self;
};
void MakeGarbage(Heap& heap, void (*end)()) {
  const Ref<Garbage> ring = heap.Make<Garbage>(end);
  ring->self = ring;
}

constexpr char kNotWaitedFor[] = "a Heap ends with the process where no collection can be waited";

std::atomic<bool> g_stuck{false};

TEST(ProcessEndTest, ADestructorThatDoesNotReturn) {
  const auto child = [](bool own) {
    static const std::unique_ptr<Heap> one = test::NewHeap();
    static const std::unique_ptr<Heap> two = test::NewHeap();
    Heap* stuck = own ? two.get() : one.get();
    MakeGarbage(*stuck, [] {
      g_stuck = true;
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    });
    std::thread([stuck] { (void)stuck->Collect(); }).detach();
    while (!g_stuck) std::this_thread::yield();
    std::exit(7);
  };
  // The first heap to go is the one that is being collected, or another.
  for (const bool own : {true, false}) {
    EXPECT_EXIT(child(own), ::testing::ExitedWithCode(7),
                "a Heap ends while user code on the collector thread does not return");
  }
}

TEST(ProcessEndTest, ExitInADestructorWithAStaticHeap) {
  const auto child = [] {
    static const std::unique_ptr<Heap> heap = test::NewHeap();
    static Ref<Node> node = heap->Make<Node>();
    (void)heap->Make<Exits>();
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), kNotWaitedFor);
}

TEST(ProcessEndTest, ExitOnTheCollectorThreadWithAStaticHeap) {
  const auto child = [] {
    static const std::unique_ptr<Heap> heap = test::NewHeap();
    // Asks while the collector's thread is destroying statics: must not wait for it.
    struct Late {
      ~Late() {
        std::thread([] { (void)DefaultHeap().Collect(); }).join();
      }
    };
    static const Late late;
    MakeGarbage(DefaultHeap(), [] { std::exit(7); });
    for (;;) (void)DefaultHeap().Collect();
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), kNotWaitedFor);
}

TEST(ProcessEndTest, ExitInAReadScopeWithAStaticHeap) {
  const auto child = [] {
    static const std::unique_ptr<Heap> heap = test::NewHeap();
    const ReadScope scope;
    std::exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), kNotWaitedFor);
}

// An allocation at the limit runs no user code, which may want what its caller holds; whoever asks
// for a collection runs it himself.
TEST(ProcessEndTest, AllocationAtTheLimitDestroysNothing) {
  const auto child = [] {
    static Heap* heap = nullptr;
    struct AtTheLimit {
      ~AtTheLimit() {
        MakeGarbage(*heap, [] { std::fputs("destroyed ", stderr); });
        std::vector<void*> blocks;
        while (void* block = heap->TryAllocate(100'000)) blocks.push_back(block);
        std::fprintf(stderr, "full %d ", blocks.size() > 50);
        for (void* block : blocks) heap->Deallocate(block);
        std::fprintf(stderr, "free %d ", heap->TryAllocate(100'000) != nullptr);
        (void)heap->Collect();
      }
    };
    // Before the engine, which is at rest when this is destroyed.
    static const AtTheLimit at_the_limit;
    HeapOptions options = test::QuietOptions();
    options.max_bytes = uint64_t{8} << 20;
    heap = test::NewHeap(options).release();
    std::exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "^full 1 free 1 destroyed $");
}

}  // namespace
}  // namespace reef
