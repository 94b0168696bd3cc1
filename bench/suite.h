// The cases of the benchmarks: a workload run by a subject. One list of them serves the figures
// table and Google Benchmark.
#ifndef REEF_BENCH_SUITE_H_
#define REEF_BENCH_SUITE_H_

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/subjects.h"

namespace bench {

// The columns of the table, in this order.
enum class Column : uint8_t {
  kReef,
  kGlibcNew,
  kGlibcShared,
  kMiNew,
  kMiUnique,
  kMiPlain,
  kMiAtomic,
  kMiShared,
};
inline constexpr size_t kColumns = 8;
const char* ColumnName(Column column);

// What one sample took, in nanoseconds, for the operations that were asked for.
using Sample = double (*)(uint64_t operations);

struct Workload {
  std::string name;
  uint64_t operations;            // in one sample
  bool slow = false;              // a sample takes a second: fewer repetitions
  bool in_table = true;           // otherwise for Google Benchmark only
  Sample samples[kColumns] = {};  // null: the subject cannot do this

  Workload& Add(Column column, Sample sample) {
    samples[static_cast<size_t>(column)] = sample;
    return *this;
  }
  Sample At(Column column) const { return samples[static_cast<size_t>(column)]; }
};

using Suite = std::vector<Workload>;

// The names of the rows that the targets speak of.
inline constexpr char kMakeDropLifo[] = "make+drop, one at a time";
inline constexpr char kMakeDropBatch[] = "make+drop, batches of 1000";
inline constexpr char kCopyDropOwner[] = "copy+drop, owner";
inline constexpr char kCopyDropOwnerMany[] = "copy+drop, owner, 1000 objects";
inline constexpr char kCopyDropForeign[] = "copy+drop, other thread's object";
inline constexpr char kMemberStore[] = "edge store";
inline constexpr char kHandOffMoved[] = "hand-off, moved";
inline constexpr char kHandOffAdopted[] = "hand-off, Share and Adopt";
inline constexpr char kBinaryTrees[] = "binary trees, per node";
inline constexpr char kMark[] = "mark, per object";

void AddMakeDrop(Suite& suite);
void AddCopyDrop(Suite& suite);
void AddMemberStore(Suite& suite);
void AddHandOff(Suite& suite);
void AddBinaryTrees(Suite& suite);
void AddMark(Suite& suite);
void AddLockFree(Suite& suite);

// Makes the compiler believe that what `pointer` leads to is read and written here.
inline void Keep(const void* pointer) { asm volatile("" : : "r"(pointer) : "memory"); }

inline double Nanoseconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Time on the processor of the calling thread: other programs disturb it little.
class CpuTimer {
 public:
  double Elapsed() const { return Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start_; }

 private:
  double start_ = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
};

class WallTimer {
 public:
  double Elapsed() const { return Nanoseconds(CLOCK_MONOTONIC) - start_; }

 private:
  double start_ = Nanoseconds(CLOCK_MONOTONIC);
};

// A small reproducible generator (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 .. bound - 1.
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>((Next() >> 32) * bound >> 32); }

 private:
  uint64_t state_;
};

// The numbers 0 .. count - 1 in random order.
inline std::vector<uint32_t> Shuffled(uint32_t count, uint64_t seed) {
  Random random(seed);
  std::vector<uint32_t> order(count);
  for (uint32_t i = 0; i < count; ++i) order[i] = i;
  for (uint32_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

// A payload of 32 bytes, all of them written. `Tag` keeps the types of the workloads apart, because
// Reef adapts to how the objects of a type travel.
template <typename Tag>
struct Words {
  explicit Words(uint64_t seed) noexcept : words{seed, seed + 1, seed + 2, seed + 3} {}
  uint64_t words[4];
};

// The handle that `make` returns, made by another thread, which stays alive as long as this does
// and keeps a handle of its own.
template <typename Handle>
class MadeElsewhere {
 public:
  explicit MadeElsewhere(Handle (*make)()) {
    thread_ = std::thread([this, make] {
      const Handle kept = make();
      handle_ = kept;
      made_.store(true, std::memory_order_release);
      made_.notify_one();
      done_.wait(false, std::memory_order_acquire);
    });
    made_.wait(false, std::memory_order_acquire);
  }
  ~MadeElsewhere() {
    handle_ = nullptr;
    done_.store(true, std::memory_order_release);
    done_.notify_one();
    thread_.join();
  }
  MadeElsewhere(const MadeElsewhere&) = delete;
  MadeElsewhere& operator=(const MadeElsewhere&) = delete;

  const Handle& handle() const { return handle_; }

 private:
  Handle handle_;
  std::atomic<bool> made_{false};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace bench

#endif  // REEF_BENCH_SUITE_H_
