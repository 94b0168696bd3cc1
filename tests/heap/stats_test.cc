// HeapStats: exact while the heap is quiet.

#include "reef/stats.h"

#include <sys/resource.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;
using test::NewHeap;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};
struct Leaf {
  int64_t value = 5;
};

TEST(StatsTest, FiguresOfAnEmptyHeapAreZero) {
  const std::unique_ptr<Heap> heap = NewHeap();
  const HeapStats stats = heap->Stats();
  EXPECT_EQ(stats.live_objects, 0u);
  EXPECT_EQ(stats.live_bytes, 0u);
  EXPECT_EQ(stats.raw_blocks, 0u);
  EXPECT_EQ(stats.raw_bytes, 0u);
  EXPECT_EQ(stats.collections, 0u);
  EXPECT_EQ(stats.reserved_bytes, uint64_t{1} << 30);
}

TEST(StatsTest, LiveFiguresAreExact) {
  const std::unique_ptr<Heap> heap = NewHeap();
  Lives lives;
  std::vector<Ref<Node>> nodes;
  std::vector<Ref<Leaf>> leaves;
  uint64_t bytes = 0;
  for (int i = 0; i < 10'000; ++i) {
    nodes.push_back(heap->Make<Node>(lives));
    leaves.push_back(heap->Make<Leaf>());
    bytes += SizeOf(nodes.back()) + SizeOf(leaves.back());
  }
  EXPECT_EQ(heap->Stats().live_objects, 20'000u);
  EXPECT_EQ(heap->Stats().live_bytes, bytes);
  EXPECT_GE(heap->Stats().committed_bytes, bytes);
  EXPECT_GE(heap->Stats().resident_bytes, bytes);
  for (size_t i = 0; i < 5000; ++i) {
    bytes -= SizeOf(nodes[i]);
    nodes[i].Reset();
  }
  EXPECT_EQ(heap->Stats().live_objects, 15'000u);
  EXPECT_EQ(heap->Stats().live_bytes, bytes);
  // Also when other threads made or freed them, and are gone.
  std::thread([&] {
    for (size_t i = 0; i < 1000; ++i) {
      nodes[i] = heap->Make<Node>(lives);
      bytes += SizeOf(nodes[i]);
    }
    for (Ref<Leaf>& leaf : leaves) {
      bytes -= SizeOf(leaf);
      leaf.Reset();
    }
  }).join();
  (void)heap->Collect();  // finishes what waits for a bias to be revoked
  EXPECT_EQ(heap->Stats().live_objects, 6'000u);
  EXPECT_EQ(heap->Stats().live_bytes, bytes);
  nodes.clear();
  (void)heap->Collect();
  EXPECT_EQ(heap->Stats().live_objects, 0u);
  EXPECT_EQ(heap->Stats().live_bytes, 0u);
}

TEST(StatsTest, RawFiguresAreExact) {
  const std::unique_ptr<Heap> heap = NewHeap();
  std::vector<void*> blocks;
  uint64_t least = 0;
  for (const size_t bytes : std::initializer_list<size_t>{1, 8, 100, 5000, 40'000, 5'000'000}) {
    for (int i = 0; i < 10; ++i) {
      blocks.push_back(heap->Allocate(bytes));
      least += bytes;
    }
  }
  EXPECT_EQ(heap->Stats().raw_blocks, 60u);
  EXPECT_GE(heap->Stats().raw_bytes, least);
  EXPECT_EQ(heap->Stats().live_objects, 0u);
  for (size_t i = 0; i < 30; ++i) heap->Deallocate(blocks[i]);
  EXPECT_EQ(heap->Stats().raw_blocks, 30u);
  std::thread([&] {
    for (size_t i = 30; i < 60; ++i) heap->Deallocate(blocks[i]);
  }).join();
  EXPECT_EQ(heap->Stats().raw_blocks, 0u);
  EXPECT_EQ(heap->Stats().raw_bytes, 0u);
}

TEST(StatsTest, PendingWorkIsDoneWithoutBeingAskedFor) {
  const std::unique_ptr<Heap> heap = NewHeap();
  Lives lives;
  std::vector<Ref<Node>> nodes;
  for (int i = 0; i < 50; ++i) nodes.push_back(heap->Make<Node>(lives));
  std::thread([&] { nodes.clear(); }).join();
  EXPECT_TRUE(test::Eventually([&] { return heap->Stats().pending_revocations == 0; }));
  EXPECT_EQ(lives.now(), 0);
}

// How often the threads of this process have gone to sleep.
int64_t CountSleeps() {
  rusage usage{};
  EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return usage.ru_nvcsw;
}

TEST(StatsTest, WorkThatMustWaitIsLookedAtLessAndLessOften) {
  const std::unique_ptr<Heap> heap = NewHeap();
  Lives lives;
  AtomicRef<Node> place(heap->Make<Node>(lives));
  {
    const test::Sleeper sleeper;
    place.Store(nullptr);  // retired: nobody can destroy it now
    const int64_t before = CountSleeps();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_LT(CountSleeps() - before, 150) << "the collector gets up every millisecond";
    // Other work is done as ever.
    Ref<Node> node = heap->Make<Node>(lives);
    std::thread([&] { node.Reset(); }).join();
    EXPECT_TRUE(test::Eventually([&] { return lives.now() == 1; }));
  }
  EXPECT_TRUE(test::Eventually([&] { return lives.now() == 0; }));
}

TEST(StatsTest, PhasesHaveNames) {
  for (int i = 0; i < kPhases; ++i) {
    EXPECT_FALSE(std::string(PhaseName(static_cast<Phase>(i))).empty());
  }
  EXPECT_NE(std::string(PhaseName(Phase::kArm)), PhaseName(Phase::kFree));
}

TEST(StatsTest, FiguresOfCollectionsAddUpTheReports) {
  const std::unique_ptr<Heap> heap = NewHeap();
  Lives lives;
  std::chrono::nanoseconds times[kPhases] = {};
  uint64_t objects = 0;
  uint64_t bytes = 0;
  constexpr uint64_t kRounds = 5;
  for (uint64_t round = 1; round <= kRounds; ++round) {
    const uint64_t suspects = heap->Stats().suspects;
    for (uint64_t i = 0; i < round; ++i) {
      const Ref<Node> ring = heap->Make<Node>(lives);
      ring->next = ring;
    }
    EXPECT_GE(heap->Stats().suspects, suspects + round) << "each may have become a cycle";
    const CollectionReport report = heap->Collect();
    EXPECT_EQ(report.objects, round);
    EXPECT_EQ(report.aborted, 0u);
    objects += report.objects;
    bytes += report.bytes;
    for (size_t phase = 0; phase < kPhases; ++phase) times[phase] += report.phase_time[phase];
  }
  const HeapStats stats = heap->Stats();
  EXPECT_EQ(stats.garbage_objects, objects);
  EXPECT_EQ(stats.garbage_bytes, bytes);
  EXPECT_GE(stats.collections, kRounds);
  EXPECT_EQ(stats.collections_aborted, 0u);
  for (size_t phase = 0; phase < kPhases; ++phase) {
    EXPECT_EQ(stats.phase_time[phase], times[phase]) << PhaseName(static_cast<Phase>(phase));
    EXPECT_GT(stats.phase_time[phase].count(), 0) << PhaseName(static_cast<Phase>(phase));
  }
  EXPECT_GT(stats.longest_rendezvous.count(), 0);
  EXPECT_GE(stats.longest_bracket.count(), 0);
}

}  // namespace
}  // namespace reef
