// The last references go in destructors of thread_locals, while the thread is ending and
// collections run: to objects of this thread, of others, of threads that ended before, in cycles,
// published.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  explicit Node(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, shared); }
  test::Life life;
  Member<Node> next;
  AtomicMember<Node> shared;
};

struct Exchange {
  void Give(Ref<Node> node) {
    const std::lock_guard<std::mutex> lock(mutex);
    nodes.push_back(std::move(node));
  }
  Ref<Node> Take(size_t at) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (nodes.empty()) return nullptr;
    std::swap(nodes[at % nodes.size()], nodes.back());
    Ref<Node> node = std::move(nodes.back());
    nodes.pop_back();
    return node;
  }
  std::mutex mutex;
  std::vector<Ref<Node>> nodes;
};

// Drops what it holds, and makes a little more garbage, when its thread ends.
struct Pocket {
  ~Pocket() {
    if (heap == nullptr) return;
    for (Ref<Node>& node : nodes) {
      node->shared.Store(nullptr);
      node.Reset();
    }
    const Ref<Node> late = heap->Make<Node>(*lives);
    late->next = late;
  }
  Heap* heap = nullptr;
  test::Lives* lives = nullptr;
  std::vector<Ref<Node>> nodes;
};
thread_local Pocket t_pocket;

class ThreadEndStory : public test::QuietHeapTest {};

TEST_F(ThreadEndStory, WhatThreadLocalsDropIsReclaimed) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  Exchange exchange;
  {
    const test::ConstantCollector collector(*heap_);
    for (uint64_t round = 0; round < test::Sized(500, 60); ++round) {
      test::RunThreads(4, [&](int i) {
        std::mt19937_64 random(seed + round * 4 + static_cast<uint64_t>(i));
        if (i % 2 == 0)
          t_pocket.nodes.reserve(1);  // before the thread's first use of the engine, or after
        for (int j = 0; j < 20; ++j) {
          Ref<Node> node = heap_->Make<Node>(lives_);
          node->next = exchange.Take(random());
          if (j % 3 == 0) node->shared.Store(node);
          if (j % 4 == 0) exchange.Give(node);
          t_pocket.nodes.push_back(std::move(node));
        }
        t_pocket.heap = heap_.get();
        t_pocket.lives = &lives_;
      });
    }
  }
  exchange.nodes.clear();
}

}  // namespace
}  // namespace reef
