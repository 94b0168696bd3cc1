// Destructors that use the engine as any code does: they make objects, drop some, publish others,
// and ask for collections (which are refused, since they would wait for themselves).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node;

// What the destructors work with.
struct Workshop {
  Heap* heap = nullptr;
  test::Lives lives;
  AtomicRef<Node> post;
  std::atomic<int64_t> refusals{0};
  std::atomic<int64_t> collections{0};  // that were not refused
};

struct Node {
  Node(Workshop* shop, int more) : workshop(shop), generations(more), life(shop->lives) {}
  ~Node() {
    if (generations == 0) return;
    // A ring with a tail, for the collector; the tail's end is published.
    const Ref<Node> ring = workshop->heap->Make<Node>(workshop, generations - 1);
    ring->next = workshop->heap->Make<Node>(workshop, 0);
    ring->next->next = ring;
    ring->tail = workshop->heap->Make<Node>(workshop, 0);
    workshop->post.Store(ring->tail);
    // One that dies here, inside this destructor.
    (void)workshop->heap->Make<Node>(workshop, generations - 1);
    const absl::StatusOr<CollectionReport> report = workshop->heap->TryCollect();
    (report.ok() ? workshop->collections : workshop->refusals)
        .fetch_add(1, std::memory_order_relaxed);
  }
  void Trace(Visitor& v) const { v.Visit(next, tail); }

  Workshop* const workshop;
  const int generations;  // of descendants that its death makes
  const test::Life life;
  Member<Node> next;
  Member<Node> tail;
};

class DestructorsAtWorkStory : public ::testing::Test {
 protected:
  DestructorsAtWorkStory() { workshop_.heap = heap_.get(); }
  // Every collection kills a generation of rings, whose deaths make the next one.
  void CollectAll() {
    workshop_.post.Store(nullptr);
    for (int i = 0; i < 8; ++i) {
      (void)heap_->Collect();
      workshop_.post.Store(nullptr);
    }
    (void)heap_->Collect();
    EXPECT_EQ(workshop_.lives.now(), 0);
    EXPECT_EQ(workshop_.collections.load(), 0);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }

  std::unique_ptr<Heap> heap_ = test::NewHeap();
  Workshop workshop_;
};

TEST_F(DestructorsAtWorkStory, TheyMakeDropAndPublishObjects) {
  (void)heap_->Make<Node>(&workshop_, 4);
  EXPECT_GT(workshop_.refusals.load(), 0);
  CollectAll();
}

TEST_F(DestructorsAtWorkStory, TheyDoSoOnTheCollectorThread) {
  {
    const Ref<Node> node = heap_->Make<Node>(&workshop_, 4);
    node->next = node;
  }
  CollectAll();
  EXPECT_GT(workshop_.refusals.load(), 0);
}

TEST_F(DestructorsAtWorkStory, TheyDoSoOnManyThreadsUnderCollections) {
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(4, [&](int i) {
      for (size_t step = 0; step < test::Sized(2000, 100); ++step) {
        const Ref<Node> node = heap_->Make<Node>(&workshop_, 3);
        if (i % 2 == 0) node->next = node;
        if (step % 7 == 0) workshop_.post.Store(node);
      }
    });
  }
  CollectAll();
}

}  // namespace
}  // namespace reef
