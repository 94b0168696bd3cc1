// Hand-off: one thread makes objects and pushes them through a ring, another reads and drops them.
#include <sched.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "bench/suite.h"

namespace bench {
namespace {

struct MovedTag;
struct AdoptedTag;

// Waits for the other side: spins a little, then lets others run.
class Wait {
 public:
  void Once() {
    if (++spins_ < 200) {
      __builtin_ia32_pause();
    } else {
      sched_yield();
    }
  }

 private:
  int spins_ = 0;
};

// A bounded queue between one producer and one consumer.
template <typename Handle>
class Ring {
 public:
  void Push(Handle handle) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    for (Wait wait; tail - head_seen_ == kSlots; wait.Once()) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ != kSlots) break;
    }
    slots_[tail % kSlots] = std::move(handle);
    tail_.store(tail + 1, std::memory_order_release);
  }
  Handle Pop() {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    for (Wait wait; tail_seen_ == head; wait.Once()) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (tail_seen_ != head) break;
    }
    Handle handle = std::move(slots_[head % kSlots]);
    head_.store(head + 1, std::memory_order_release);
    return handle;
  }

 private:
  static constexpr uint64_t kSlots = 4096;

  std::vector<Handle> slots_ = std::vector<Handle>(kSlots);
  alignas(128) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;
  alignas(128) std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;
};

// How a handle leaves its thread and arrives at the other one.
struct Moved {
  using Tag = MovedTag;
  template <typename Handle>
  static Handle Send(Handle handle) {
    return handle;
  }
  template <typename Handle>
  static Handle Receive(Handle handle) {
    return handle;
  }
};

struct Adopted {
  using Tag = AdoptedTag;
  template <typename T>
  static reef::Ref<T> Send(reef::Ref<T> handle) {
    return std::move(handle).Share();
  }
  template <typename T>
  static reef::Ref<T> Receive(reef::Ref<T> handle) {
    return std::move(handle).Adopt();
  }
};

// A rise in the moved row means a dearer death away from home: pending references, their
// revocation, blocks that travel back. In the adopted row it means that giving up the bias, taking
// it over, or the batches of blocks on their way back cost more.
template <typename Subject, typename Way>
double HandOff(uint64_t operations) {
  using Object = Words<typename Way::Tag>;
  Ring<typename Subject::template Handle<Object>> ring;
  std::atomic<bool> ready{false};
  uint64_t sum = 0;
  std::thread consumer([&] {
    ready.store(true, std::memory_order_release);
    for (uint64_t i = 0; i < operations; ++i) {
      const auto handle = Way::Receive(ring.Pop());
      sum += handle->words[0];
    }
  });
  while (!ready.load(std::memory_order_acquire)) sched_yield();
  const WallTimer timer;
  for (uint64_t i = 0; i < operations; ++i) {
    ring.Push(Way::Send(Subject::template Make<Object>(i)));
  }
  consumer.join();
  const double elapsed = timer.Elapsed();
  Keep(&sum);
  return elapsed;
}

template <typename ReefWay>
Workload Against(const char* name) {
  return Workload{.name = name, .operations = 500'000}
      .Add(Column::kReef, HandOff<Reef, ReefWay>)
      .Add(Column::kGlibcNew, HandOff<Unique<Glibc>, Moved>)
      .Add(Column::kGlibcShared, HandOff<Shared<Glibc>, Moved>)
      .Add(Column::kMiNew, HandOff<Unique<Mimalloc>, Moved>)
      .Add(Column::kMiAtomic, HandOff<Intrusive<Mimalloc, AtomicCount>, Moved>)
      .Add(Column::kMiShared, HandOff<Shared<Mimalloc>, Moved>);
}

}  // namespace

void AddHandOff(Suite& suite) {
  suite.push_back(Against<Moved>(kHandOffMoved));
  suite.push_back(Against<Adopted>(kHandOffAdopted));
}

}  // namespace bench
