// A random graph that many threads change, with an oracle that says of each object whether it must
// be alive or dead.
//
// Threads hold roots, pass them on through queues and globals, and end after each epoch; their
// roots go to the threads of the next one. At the end of an epoch no thread runs. Then, after a
// collection, exactly the objects live that can be reached in the shadow, and their edges are what
// the shadow says.
#ifndef REEF_STRESS_ORACLE_H_
#define REEF_STRESS_ORACLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "reef/reef.h"
#include "stress/mutator.h"
#include "stress/scene.h"
#include "stress/shadow.h"
#include "stress/subjects.h"

namespace reef::stress {

class Oracle {
 public:
  using Options = OracleOptions;

  // The oracle and its graph begin empty. The heap is for this oracle alone.
  Oracle(Heap& heap, const Options& options, uint64_t seed) : scene_(heap, options), seed_(seed) {
    g_seed.store(seed, std::memory_order_relaxed);
    for (size_t i = 0; i < scene_.queues.size(); ++i) mutators_.emplace_back(scene_, i);
  }
  ~Oracle() { DropAllRoots(); }
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  // Lets the threads change the graph; with `collect_constantly`, one more thread collects all
  // along.
  void RunEpoch(bool collect_constantly) {
    g_epoch.store(++epoch_, std::memory_order_relaxed);
    std::atomic<bool> stop{false};
    std::thread collector;
    if (collect_constantly) {
      collector = std::thread([this, &stop] {
        while (!stop.load(std::memory_order_relaxed)) (void)scene_.heap.Collect();
      });
    }
    std::vector<std::thread> threads;
    for (size_t i = 0; i < mutators_.size(); ++i) {
      threads.emplace_back([this, i] {
        Mutator& mutator = mutators_[i];
        mutator.Seed(seed_ * 1'000'003 + epoch_ * 101 + i);
        for (size_t step = 0; step < scene_.options.steps; ++step) mutator.Step();
      });
    }
    for (std::thread& thread : threads) thread.join();
    stop.store(true, std::memory_order_relaxed);
    if (collector.joinable()) collector.join();
  }

  // Collects and compares; for moments at which no thread runs.
  absl::Status Check() {
    (void)scene_.heap.Collect();
    std::vector<bool> reached(scene_.shadows.size());
    std::vector<Number> next;
    size_t live = 0;
    const auto reach = [&](Number number) {
      if (number == 0 || reached[number]) return;
      reached[number] = true;
      ++live;
      next.push_back(number);
    };
    ForEachRoot([&](const Ref<Node>&, Number number) { reach(number); });
    for (Global& global : scene_.globals) reach(global.Target());
    while (!next.empty()) {
      const Shadow& shadow = scene_.shadows[next.back()];
      next.pop_back();
      for (const Number number : shadow.members) reach(number);
      for (const Number number : shadow.more) reach(number);
      reach(shadow.leaf);
      reach(shadow.Next());
    }
    for (Number i = 1; i < scene_.shadows.size(); ++i) {
      const bool lives = scene_.shadows[i].state.load(std::memory_order_acquire) == kAlive;
      if (lives && !reached[i]) return Violation("cannot be reached, and lives", i);
      if (!lives && reached[i]) return Violation("can be reached, and is dead", i);
    }
    if (absl::Status status = CompareEdges(live); !status.ok()) return status;
    if (absl::Status status = scene_.heap.Verify(); !status.ok()) return status;
    live_ = live;
    died_ += scene_.shadows.Recycle();
    return absl::OkStatus();
  }

  void DropAllRoots() {
    ForEachRoot([](Ref<Node>& ref, Number) { ref.Reset(); });
    for (Mutator& mutator : mutators_) mutator.roots().clear();
    for (Queue& queue : scene_.queues) queue.roots.clear();
    for (Global& global : scene_.globals) (void)global.Exchange({});
  }

  size_t live() const { return live_; }  // at the last check
  size_t died() const { return died_; }  // of those checked so far

 private:
  template <typename Function>
  void ForEachRoot(Function function) {
    for (Mutator& mutator : mutators_) {
      for (Root& root : mutator.roots()) function(root.ref, root.number);
    }
    for (Queue& queue : scene_.queues) {
      for (Root& root : queue.roots) function(root.ref, root.number);
    }
  }

  absl::Status Violation(const char* what, Number number) const {
    char text[160];
    (void)std::snprintf(text, sizeof text, "object %u %s (seed %llu, epoch %llu)", number, what,
                        static_cast<unsigned long long>(seed_),
                        static_cast<unsigned long long>(epoch_));
    return absl::InternalError(text);
  }

  // Walks the real graph beside the shadow; everything that can be reached is known to live.
  absl::Status CompareEdges(size_t live) {
    std::vector<bool> seen(scene_.shadows.size());
    std::vector<std::pair<const Node*, Number>> next;
    size_t buffers = 0;
    bool same = true;
    const auto visit = [&](const Node* node, Number number) {
      if ((node == nullptr ? 0 : node->life.number()) != number) {
        same = false;
      } else if (node != nullptr && !seen[number]) {
        seen[number] = true;
        next.emplace_back(node, number);
      }
    };
    ForEachRoot([&](const Ref<Node>& ref, Number number) { visit(ref.get(), number); });
    for (const Global& global : scene_.globals) visit(global.ref.Load().get(), global.Target());
    while (!next.empty()) {
      const auto [node, number] = next.back();
      next.pop_back();
      node->life.Check();
      const Shadow& shadow = scene_.shadows[number];
      for (int i = 0; i < kMembers; ++i) visit(node->members[i].get(), shadow.members[i]);
      if (node->more.size() != shadow.more.size()) return Violation("has lost a child", number);
      for (size_t i = 0; i < shadow.more.size(); ++i) visit(node->more[i].get(), shadow.more[i]);
      if (node->more.capacity() != 0) ++buffers;
      if ((node->leaf ? node->leaf->life.number() : 0) != shadow.leaf) same = false;
      if (node->leaf) node->leaf->life.Check();
      visit(node->next.Load().get(), shadow.Next());
      if (!same) return Violation("leads elsewhere than its shadow", number);
    }
    if (!same) return Violation("is not what a root leads to", 0);
    const uint64_t counted = scene_.heap.Stats().live_objects;
    if (counted != live + buffers) {
      std::fprintf(stderr, "oracle: %zu objects and %zu buffers, the heap counts %llu\n", live,
                   buffers, static_cast<unsigned long long>(counted));
      return Violation("is too many or too few in the heap's figures", 0);
    }
    return absl::OkStatus();
  }

  Scene scene_;
  const uint64_t seed_;
  uint64_t epoch_ = 0;
  std::deque<Mutator> mutators_;
  size_t live_ = 0;
  size_t died_ = 0;
};

}  // namespace reef::stress

#endif  // REEF_STRESS_ORACLE_H_
