// What the suites of this folder share: heaps that hold still, counted lives, deadlines, seeds, and
// how big a test may be in this build.
#ifndef REEF_TESTS_HEAP_SUPPORT_H_
#define REEF_TESTS_HEAP_SUPPORT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"

#if defined(__SANITIZE_ADDRESS__)
#define REEF_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REEF_TEST_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define REEF_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REEF_TEST_TSAN 1
#endif
#endif
#ifndef REEF_TEST_ASAN
#define REEF_TEST_ASAN 0
#endif
#ifndef REEF_TEST_TSAN
#define REEF_TEST_TSAN 0
#endif

namespace reef::test {

inline constexpr bool kSanitized = REEF_TEST_ASAN || REEF_TEST_TSAN;
inline constexpr bool kSlowBuild = kSanitized || REEF_IS_CHECKED;

// `full` where code runs at its real speed, `reduced` under checks and sanitizers.
constexpr size_t Sized(size_t full, size_t reduced) { return kSlowBuild ? reduced : full; }

// Options of a heap that collects only when it is asked to.
inline HeapOptions QuietOptions() {
  HeapOptions options;
  options.reserve_bytes = uint64_t{1} << 30;
  options.automatic_collection = false;
  return options;
}

inline std::unique_ptr<Heap> NewHeap(const HeapOptions& options = QuietOptions()) {
  absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(options);
  if (!heap.ok()) {
    std::cerr << "no heap for the test: " << heap.status() << std::endl;
    std::abort();
  }
  return *std::move(heap);
}

// How many objects there have been, and how many of them are gone.
class Lives {
 public:
  void Begin() { begun_.fetch_add(1, std::memory_order_relaxed); }
  void End() { ended_.fetch_add(1, std::memory_order_release); }
  int64_t begun() const { return begun_.load(std::memory_order_relaxed); }
  int64_t ended() const { return ended_.load(std::memory_order_acquire); }
  int64_t now() const { return begun() - ended(); }

 private:
  std::atomic<int64_t> begun_{0};
  std::atomic<int64_t> ended_{0};
};

// A part that makes its object count in a Lives.
class Life {
 public:
  explicit Life(Lives& lives) : lives_(&lives) { lives_->Begin(); }
  ~Life() { lives_->End(); }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

 private:
  Lives* const lives_;
};

// Polls until `predicate` holds; false if it does not do so in time. Only for promises about time.
template <typename Predicate>
bool Eventually(Predicate predicate,
                std::chrono::milliseconds deadline = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > end) return predicate();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

// As Eventually, within the second that is promised; checks and sanitizers make everything about
// three times as slow. Time for which a busy machine did not let this thread run, seen by a nap
// that ended too late, does not count: it did not let the collector's thread run either.
template <typename Predicate>
bool WithinASecond(Predicate predicate) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kNap(1);
  Clock::time_point deadline = Clock::now() + std::chrono::seconds(kSlowBuild ? 3 : 1);
  while (!predicate()) {
    const Clock::time_point before = Clock::now();
    if (before > deadline) return false;
    std::this_thread::sleep_for(kNap);
    const Clock::duration late = Clock::now() - before - kNap;
    if (late > kNap) deadline += late;
  }
  return true;
}

// The seed of a random test: REEF_SEED, or a new one. The test traces it with SeedNote.
inline uint64_t Seed() {
  const char* given = std::getenv("REEF_SEED");
  if (given != nullptr) return std::strtoull(given, nullptr, 0);
  return std::random_device()();
}
inline std::string SeedNote(uint64_t seed) {
  return "again with REEF_SEED=" + std::to_string(seed);
}

// A number below `bound`.
inline size_t Below(std::mt19937_64& random, size_t bound) {
  return static_cast<size_t>(random() % bound);
}

// Runs body(0) to body(count - 1), each on a thread of its own, and waits for all.
template <typename Body>
void RunThreads(int count, const Body& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// Collects over and over on a thread of its own, from construction to destruction.
class ConstantCollector {
 public:
  explicit ConstantCollector(Heap& heap)
      : thread_([this, &heap] {
          while (!stop_.load(std::memory_order_relaxed)) {
            (void)heap.Collect();
            rounds_.fetch_add(1, std::memory_order_relaxed);
          }
        }) {}
  ~ConstantCollector() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
  }
  ConstantCollector(const ConstantCollector&) = delete;
  ConstantCollector& operator=(const ConstantCollector&) = delete;

  int64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> rounds_{0};
  std::thread thread_;
};

// A thread that sleeps in a ReadScope, from construction to destruction.
class Sleeper {
 public:
  Sleeper()
      : thread_([this] {
          const ReadScope scope;
          asleep_.store(true, std::memory_order_release);
          asleep_.notify_one();
          wake_.wait(false, std::memory_order_acquire);
        }) {
    asleep_.wait(false, std::memory_order_acquire);
  }
  ~Sleeper() {
    wake_.store(true, std::memory_order_release);
    wake_.notify_one();
    thread_.join();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

 private:
  std::atomic<bool> asleep_{false};
  std::atomic<bool> wake_{false};
  std::thread thread_;
};

// A quiet heap, which at the end of each test must be sound and, what the test left unreachable
// once collected, without a counted life.
class QuietHeapTest : public ::testing::Test {
 protected:
  void TearDown() override {
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }

  Lives lives_;
  std::unique_ptr<Heap> heap_ = NewHeap();
};

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_SUPPORT_H_
