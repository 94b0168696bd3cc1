// What the stress programs share: flags, the time box, a line of progress each second, the end.
//
//   int main(int argc, char** argv) {
//     reef::stress::Program program("random_graph", argc, argv);
//     while (program.Running()) {
//       ... one round; violations by program.Require(status) or program.Expect(condition, what)
//       program.Progress("live", n, "died", m);
//     }
//     return program.Finish(heap);
//   }
#ifndef REEF_STRESS_PROGRAM_H_
#define REEF_STRESS_PROGRAM_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reef/reef.h"

namespace reef::stress {

// True in builds in which programs run many times slower and need many times the memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = REEF_IS_CHECKED != 0;
#endif

class Program {
 public:
  // Reads --seconds=N, --seed=N and --threads=N (or '--seconds N'), and prints what holds.
  Program(std::string_view name, int argc, char** argv) : name_(name) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view argument = argv[i];
      const size_t equals = argument.find('=');
      const std::string_view flag = argument.substr(0, equals);
      const char* value = nullptr;
      if (equals != std::string_view::npos) {
        value = argv[i] + equals + 1;
      } else if (i + 1 < argc) {
        value = argv[++i];
      }
      if (value == nullptr || !Set(flag, value)) Usage(argv[0]);
    }
    std::cout << name_ << ": --seconds=" << seconds_ << " --seed=" << seed_
              << " --threads=" << threads_ << std::endl;
    start_ = Clock::now();
    next_line_ = start_ + std::chrono::seconds(1);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  uint64_t seed() const { return seed_; }
  int threads() const { return threads_; }
  bool Running() const {
    return !failed_ && Clock::now() - start_ < std::chrono::seconds(seconds_);
  }

  // A line if the last one is a second old: name, value, name, value ...
  template <typename... Parts>
  void Progress(const Parts&... parts) {
    const Clock::time_point now = Clock::now();
    if (now < next_line_) return;
    next_line_ = now + std::chrono::seconds(1);
    std::cout << std::chrono::duration_cast<std::chrono::seconds>(now - start_).count() << " s";
    ((std::cout << ' ' << parts), ...);
    std::cout << std::endl;
  }

  void Require(const absl::Status& status) {
    if (!status.ok()) Fail(status.ToString());
  }
  template <typename... Parts>
  void Expect(bool condition, const Parts&... what) {
    if (condition) return;
    ((std::cerr << what << ' '), ...);
    Fail("does not hold");
  }

  // Verifies the heap, which is at rest, and returns the exit status.
  int Finish(const Heap& heap) {
    Require(heap.Verify());
    if (failed_) return 1;
    std::cout << name_ << ": ok" << std::endl;
    return 0;
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool Set(std::string_view flag, const char* value) {
    char* end = nullptr;
    const uint64_t number = std::strtoull(value, &end, 0);
    if (end == value || *end != '\0') return false;
    if (flag == "--seconds") {
      seconds_ = static_cast<int64_t>(std::min<uint64_t>(number, 1'000'000));
    } else if (flag == "--seed") {
      seed_ = number;
    } else if (flag == "--threads" && number >= 1 && number <= 256) {
      threads_ = static_cast<int>(number);
    } else {
      return false;
    }
    return true;
  }
  [[noreturn]] static void Usage(const char* program) {
    std::cerr << "usage: " << program << " [--seconds=N] [--seed=N] [--threads=1..256]"
              << std::endl;
    std::exit(2);
  }
  void Fail(std::string_view what) {
    std::cerr << name_ << ": " << what << "\nagain with --seed=" << seed_
              << " --threads=" << threads_ << std::endl;
    failed_ = true;
  }

  const std::string_view name_;
  int64_t seconds_ = 10;
  uint64_t seed_ = std::random_device()();
  int threads_ = 4;
  bool failed_ = false;
  Clock::time_point start_;
  Clock::time_point next_line_;
};

// Options of a heap that collects as often as it can.
inline HeapOptions EagerOptions() {
  HeapOptions options;
  options.growth_percent = 5;
  options.growth_bytes = uint64_t{64} << 10;
  options.collector_cpu_percent = 100;
  return options;
}

inline std::unique_ptr<Heap> NewHeap(const HeapOptions& options) {
  absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(options);
  if (!heap.ok()) {
    std::cerr << "no heap: " << heap.status() << std::endl;
    std::exit(1);
  }
  return *std::move(heap);
}

// Runs body(0) to body(count - 1), each on a thread of its own, and waits for all.
template <typename Body>
void RunThreads(int count, const Body& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// A number below `bound`.
inline size_t Below(std::mt19937_64& random, size_t bound) {
  return static_cast<size_t>(random() % bound);
}

}  // namespace reef::stress

#endif  // REEF_STRESS_PROGRAM_H_
