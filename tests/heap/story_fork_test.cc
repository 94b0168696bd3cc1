// A server forks over and over while its threads allocate, drop each other's objects, publish,
// start and end, heaps come and go, and collections run. Each child works, and some have children
// of their own; the parent does not notice.

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <semaphore>
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

using test::Eventually;
using test::Life;
using test::Lives;

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  Life life;
};

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, shared, leaf, children); }
  Life life;
  Member<Node> next;
  AtomicMember<Node> shared;
  Member<Leaf> leaf;
  Vector<Node> children;
};

// A tree that nobody changes, and every child walks.
struct Tree {
  explicit Tree(int d) : depth(d) {}
  void Trace(Visitor& v) const { v.Visit(left, right); }
  Member<Tree> left;
  Member<Tree> right;
  int depth;
  uint64_t seal = 0x5ea15ea15ea15ea1;
};

Ref<Tree> Grow(Heap& heap, int depth) {
  Ref<Tree> tree = heap.Make<Tree>(depth);
  if (depth == 0) return tree;
  tree->left = Grow(heap, depth - 1);
  tree->right = Grow(heap, depth - 1);
  return tree;
}

size_t Count(const Tree* tree) {
  if (tree == nullptr || tree->seal != 0x5ea15ea15ea15ea1) return 0;
  if (tree->depth == 0) return 1;
  return 1 + Count(tree->left.get()) + Count(tree->right.get());
}

class ForkStory : public test::QuietHeapTest {
 protected:
  static constexpr size_t kPlaces = 32;
  static constexpr int kDepth = 10;
  static constexpr int kSteps = 1000;  // of the parent's threads, for each fork

  void TearDown() override {
    for (AtomicRef<Node>& place : places_) place.Store(nullptr);
    tree_.Reset();
    QuietHeapTest::TearDown();
  }

  // One of everything; what it takes out of the places was made by some other thread.
  void Step(std::mt19937_64& random, std::vector<Ref<Node>>* held) {
    Ref<Node> made = heap_->Make<Node>(lives_);
    made->leaf = heap_->Make<Leaf>(lives_);
    if (Ref<Node> found = places_[test::Below(random, kPlaces)].Load()) {
      if (!found->next) made->next = std::move(found);  // chains stay short
    }
    // Few rings: what a child finds in its copy of the heap is mostly what is used.
    if (!made->next && random() % 32 == 0) made->next = made;
    for (int i = 0; i < 3; ++i) made->children.push_back(heap_->Make<Node>(lives_));
    made->children.swap_remove(1);
    made->shared.Store(heap_->Make<Node>(lives_));
    Ref<Node> former = places_[test::Below(random, kPlaces)].Exchange(made);
    (*held)[test::Below(random, held->size())] = std::move(former);
    void* bytes = heap_->Allocate(1 + test::Below(random, 40'000));
    heap_->Deallocate(bytes);
  }

  void Mutate(uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<Ref<Node>> held(16);
    for (;;) {
      budget_.acquire();
      if (done_.load(std::memory_order_relaxed)) return;
      Step(random, &held);
    }
  }

  // Threads that come and go, and a heap with each.
  void ComeAndGo(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (;;) {
      for (int i = 0; i < 50; ++i) budget_.acquire();
      if (done_.load(std::memory_order_relaxed)) return;
      std::thread([&] {
        const std::unique_ptr<Heap> heap = test::NewHeap();
        std::vector<Ref<Node>> held(4);
        for (int i = 0; i < 20; ++i) Step(random, &held);
        (void)heap->Make<Leaf>(lives_);
      }).join();
    }
  }

  // A child's life.
  void Work(std::mt19937_64& random, int generations) {
    Lives lives;
    {
      std::vector<Ref<Node>> held(8);
      const Ref<Node> list = heap_->Make<Node>(lives);
      for (int i = 0; i < 300; ++i) {
        const Ref<Node> ring = heap_->Make<Node>(lives);
        ring->next = ring;
        list->children.push_back(ring);
      }
      // The parent's objects, too: those that the places show are whole.
      for (int i = 0; i < 50; ++i) Step(random, &held);
      std::thread([&] {
        std::vector<Ref<Node>> others(8);
        for (int i = 0; i < 50; ++i) Step(random, &others);
        list->next = heap_->Make<Node>(lives);
      }).join();
    }
    (void)heap_->Collect();
    CHILD_CHECK(Eventually([&] { return lives.now() == 0; }));
    CHILD_CHECK(Count(tree_.get()) == (size_t{2} << kDepth) - 1);
    if (generations != 0) {
      CHILD_CHECK(test::RunChild([&] { Work(random, generations - 1); }) == "exit 0");
      (void)heap_->Collect();
      CHILD_CHECK(Count(tree_.get()) == (size_t{2} << kDepth) - 1);
    }
  }

  std::array<AtomicRef<Node>, kPlaces> places_;
  Ref<Tree> tree_ = Grow(*heap_, kDepth);
  std::atomic<bool> done_{false};
  // Of steps: however slowly children run, no more is made than they can look through.
  std::counting_semaphore<> budget_{0};
};

TEST_F(ForkStory, ChildrenWorkAndTheParentDoesNotNotice) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 2; ++i) threads.emplace_back([this, seed, i] { Mutate(seed + i); });
  threads.emplace_back([this, seed] { ComeAndGo(seed + 10); });
  {
    const test::ConstantCollector collector(*heap_);
    std::mt19937_64 random(seed + 20);
    const size_t forks = test::Sized(100, 20);
    for (size_t i = 0; i < forks && !HasFailure(); ++i) {
      budget_.release(kSteps);
      EXPECT_EQ(test::RunChild([&] { Work(random, i % 4 == 0 ? 2 : 0); }), "exit 0") << i;
    }
    EXPECT_TRUE(Eventually([&] { return collector.rounds() > 0; }));
  }
  done_ = true;
  budget_.release(4 * kSteps);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace reef
