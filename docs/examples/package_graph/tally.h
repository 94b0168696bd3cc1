// How many graphs were made, dropped and reclaimed, and how long the last step took.
//
// Thread safety: all functions from any thread. ~Graph counts here, so a tally outlives the heap.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_TALLY_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_TALLY_H_

#include <atomic>
#include <chrono>
#include <cstdint>

namespace package_graph {

class GraphTally {
 public:
  // When a graph was dropped, in clock ticks; 0: it was not. Atomic, because the thread that drops
  // a graph is not the one that reclaims it.
  using Stamp = std::atomic<int64_t>;

  void CountMade() { made_.fetch_add(1, std::memory_order_relaxed); }

  void CountDropped(Stamp& stamp) {
    stamp.store(Now(), std::memory_order_relaxed);
    dropped_.fetch_add(1, std::memory_order_relaxed);
  }

  void CountReclaimed(const Stamp& stamp) {
    const int64_t dropped_at = stamp.load(std::memory_order_relaxed);
    if (dropped_at != 0) {
      const int64_t waited = Now() - dropped_at;
      waited_.fetch_add(waited, std::memory_order_relaxed);
      int64_t longest = longest_.load(std::memory_order_relaxed);
      while (waited > longest &&
             !longest_.compare_exchange_weak(longest, waited, std::memory_order_relaxed)) {
      }
    }
    reclaimed_.fetch_add(1, std::memory_order_relaxed);
  }

  int64_t made() const { return made_.load(std::memory_order_relaxed); }
  int64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  int64_t reclaimed() const { return reclaimed_.load(std::memory_order_relaxed); }
  // From drop to destructor.
  std::chrono::nanoseconds mean_wait() const {
    const int64_t graphs = reclaimed();
    return Clock::duration(graphs == 0 ? 0 : waited_.load(std::memory_order_relaxed) / graphs);
  }
  std::chrono::nanoseconds longest_wait() const {
    return Clock::duration(longest_.load(std::memory_order_relaxed));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static int64_t Now() { return Clock::now().time_since_epoch().count(); }

  std::atomic<int64_t> made_ = 0;
  std::atomic<int64_t> dropped_ = 0;
  std::atomic<int64_t> reclaimed_ = 0;
  std::atomic<int64_t> waited_ = 0;
  std::atomic<int64_t> longest_ = 0;
};

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_TALLY_H_
