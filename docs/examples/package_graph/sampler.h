// Looks at the heap twenty times a second from a thread of its own, for the plot and the peaks.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_SAMPLER_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_SAMPLER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "reef/reef.h"

namespace package_graph {

struct Sample {
  std::chrono::nanoseconds time;  // since the sampler began
  uint64_t live_objects;
  uint64_t live_bytes;
  uint64_t resident_bytes;
};

class Sampler {
 public:
  explicit Sampler(const reef::Heap& heap) : heap_(heap), thread_([this] { Run(); }) {}
  ~Sampler() { Stop(); }
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  void Stop() {
    is_stopping_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
  }
  std::chrono::nanoseconds elapsed() const { return Clock::now() - begin_; }
  // After Stop.
  const std::vector<Sample>& samples() const { return samples_; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kInterval{50};

  void Run() {
    while (!is_stopping_.load(std::memory_order_relaxed)) {
      const reef::HeapStats stats = heap_.Stats();
      samples_.push_back({elapsed(), stats.live_objects, stats.live_bytes, stats.resident_bytes});
      std::this_thread::sleep_for(kInterval);
    }
  }

  const reef::Heap& heap_;
  const Clock::time_point begin_ = Clock::now();
  std::atomic<bool> is_stopping_ = false;
  std::vector<Sample> samples_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_SAMPLER_H_
