// Heaps come and go while others are in use and are collected, by the same threads and by others.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  explicit Node(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, more); }
  test::Life life;
  Member<Node> next;
  Vector<Node> more;
};

void MakeGarbage(Heap& heap, test::Lives& lives, size_t cycles) {
  for (size_t i = 0; i < cycles; ++i) {
    const Ref<Node> node = heap.Make<Node>(lives);
    node->next = heap.Make<Node>(lives);
    node->next->next = node;
    node->more.push_back(heap.Make<Node>(lives));
  }
}

HeapOptions EagerOptions() {
  HeapOptions options;
  options.reserve_bytes = uint64_t{256} << 20;
  options.growth_percent = 1;
  options.growth_bytes = uint64_t{16} << 10;
  options.collector_cpu_percent = 100;
  return options;
}

TEST(ManyHeapsStory, HeapsComeAndGoWhileOthersAreCollected) {
  test::Lives lives;
  const std::unique_ptr<Heap> lasting = test::NewHeap(EagerOptions());
  {
    std::vector<Ref<Node>> held;
    for (size_t i = 0; i < 1000; ++i) held.push_back(lasting->Make<Node>(lives));
    const test::ConstantCollector collector(*lasting);
    test::RunThreads(4, [&](int i) {
      for (size_t round = 0; round < test::Sized(60, 10); ++round) {
        const std::unique_ptr<Heap> heap = test::NewHeap(EagerOptions());
        Ref<Node> kept = heap->Make<Node>(lives);
        MakeGarbage(*heap, lives, 300);
        MakeGarbage(*lasting, lives, 100);
        if (i % 2 == 0) (void)heap->Collect();
        // The heap's objects also belong to a thread that has ended, or is about to.
        std::thread([&heap, &lives, other = std::move(kept)]() mutable {
          other->next = heap->Make<Node>(lives);
          MakeGarbage(*heap, lives, 50);
          other.Reset();
        }).join();
      }
    });
    for (const Ref<Node>& node : held) ASSERT_FALSE(node->next);
  }
  (void)lasting->Collect();
  EXPECT_EQ(lives.now(), 0);
  const absl::Status state = lasting->Verify();
  EXPECT_TRUE(state.ok()) << state;
}

// Garbage of one heap, whose destructor, on the collector thread, makes another one; and a thread
// that uses it and ends.
struct Founder {
  Founder(std::unique_ptr<Heap>* my_heap, std::vector<Ref<Node>>* my_nodes, test::Lives* my_lives)
      : heap(my_heap), nodes(my_nodes), lives(my_lives) {}
  ~Founder() {
    *heap = test::NewHeap();
    std::thread([this] {
      for (size_t i = 0; i < 1000; ++i) nodes->push_back((*heap)->Make<Node>(*lives));
    }).join();
  }
  void Trace(Visitor& v) const { v.Visit(self); }
  std::unique_ptr<Heap>* heap;
  std::vector<Ref<Node>>* nodes;
  test::Lives* lives;
  Member<Founder> self;
};

// The thread's slot is emptied in the same piece of the collector's work, which began before the
// heap was there.
TEST(ManyHeapsStory, HeapMadeDuringACollectionGetsTheSlabsOfEndedThreadsBack) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{4} << 20;
  const std::unique_ptr<Heap> limited = test::NewHeap(options);
  test::Lives lives;
  std::unique_ptr<Heap> founded;
  std::vector<Ref<Node>> nodes;
  {
    const Ref<Founder> founder = limited->Make<Founder>(&founded, &nodes, &lives);
    founder->self = founder;
  }
  // At the limit a collection runs, then the slots of ended threads are emptied.
  std::vector<void*> blocks;
  while (void* block = limited->TryAllocate(30'000)) blocks.push_back(block);
  for (void* block : blocks) limited->Deallocate(block);
  ASSERT_NE(founded, nullptr);
  ASSERT_EQ(nodes.size(), 1000u);
  nodes.clear();
  EXPECT_TRUE(test::Eventually([&] { return lives.now() == 0; }));
  EXPECT_TRUE(test::Eventually([&] { return founded->Stats().committed_bytes == 0; }))
      << founded->Stats().committed_bytes << " bytes are withheld by a thread that has ended";
}

// Closing a heap looks after ended threads at once; what they have kept of other heaps must go back
// all the same.
TEST(ManyHeapsStory, MemoryOfEndedThreadsGoesBackAlthoughAnotherHeapWasClosed) {
  HeapOptions options = test::QuietOptions();
  options.huge_pages = false;
  const std::unique_ptr<Heap> lasting = test::NewHeap(options);
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> ready{0};
    std::atomic<bool> end{false};
    constexpr int kThreads = 16;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        // A block of each of many sizes: a slab of the thread for each.
        std::vector<void*> blocks;
        for (size_t bytes = 16; bytes <= 16'384; bytes += bytes / 4) {
          blocks.push_back(lasting->Allocate(bytes));
        }
        for (void* block : blocks) lasting->Deallocate(block);
        ++ready;
        while (!end) std::this_thread::yield();
      });
    }
    while (ready != kThreads) std::this_thread::yield();
    {
      const std::unique_ptr<Heap> other = test::NewHeap(options);
      end = true;
      for (std::thread& thread : threads) thread.join();
    }
    constexpr uint64_t kSmall = uint64_t{4} << 20;
    EXPECT_TRUE(test::Eventually([&] { return lasting->Stats().committed_bytes <= kSmall; },
                                 std::chrono::seconds(test::kSlowBuild ? 10 : 2)))
        << lasting->Stats().committed_bytes << " bytes are kept in round " << round;
  }
}

}  // namespace
}  // namespace reef
