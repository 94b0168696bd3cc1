// Thousands of short threads, each of which makes objects, drops most, and leaves some to others: a
// thread's end costs no memory, whoever its objects belong to afterwards: neither in the heap's
// region nor beside it, where slots, thread caches and logs are.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "lib/threads/slot_registry.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  Node(test::Lives& lives, uint64_t value) : life(lives), number(value) {}
  void Trace(Visitor& v) const { v.Visit(next, more); }
  test::Life life;
  uint64_t number;
  Member<Node> next;
  Vector<Node> more;
};

// What threads leave to those that come later; bounded, and so is what it reaches.
class Estate {
 public:
  void Leave(Ref<Node> node, size_t at) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::swap(node, left_[at % kPlaces]);  // the former one goes after the lock
  }
  Ref<Node> Find(size_t at) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(left_[at % kPlaces], nullptr);
  }
  void Clear() {
    for (Ref<Node>& node : left_) node.Reset();
  }

 private:
  static constexpr size_t kPlaces = 64;
  std::mutex mutex_;
  Ref<Node> left_[kPlaces];
};

void LiveShortly(Heap& heap, test::Lives& lives, Estate& estate, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Ref<Node>> own;
  for (uint64_t i = 0; i < 24; ++i) {
    own.push_back(heap.Make<Node>(lives, i));
    if (i != 0 && i % 3 == 0) own[i]->next = own[i - 1];
  }
  own[0]->next = own[1];  // a cycle, left to the collector
  own[1]->next = own[0];
  own[2]->more.push_back(own[5]);
  estate.Leave(own[2], random());
  (void)estate.Find(random());  // another thread's, which dies here
}

// What the system holds in memory of the whole process.
uint64_t ProcessResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    uint64_t kibibytes = 0;
    if (word == "VmRSS:" && status >> kibibytes) return kibibytes << 10;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  ADD_FAILURE() << "/proc/self/status has no VmRSS";
  return 0;
}

TEST(ThreadTurnoverStory, MemoryStaysFlatOverThousandsOfThreads) {
  HeapOptions options;
  options.reserve_bytes = uint64_t{1} << 30;
  options.growth_bytes = uint64_t{256} << 10;
  options.huge_pages = false;  // resident memory in small steps
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  test::Lives lives;
  Estate estate;
  const size_t count_all = test::Sized(20'000, 1500);
  constexpr size_t kAtOnce = 4;
  const auto run = [&](size_t count, uint64_t first) {
    for (size_t done = 0; done < count; done += kAtOnce) {
      test::RunThreads(kAtOnce, [&](int i) {
        LiveShortly(*heap, lives, estate, seed + first + done + static_cast<uint64_t>(i));
      });
    }
    (void)heap->Collect();
  };
  const uint32_t slots = threads::SlotCount();
  run(count_all / 5, 0);
  const HeapStats warm = heap->Stats();
  const uint64_t warm_process = ProcessResidentBytes();
  run(count_all - count_all / 5, count_all);
  const HeapStats end = heap->Stats();
  const uint64_t end_process = ProcessResidentBytes();
  constexpr uint64_t kSlack = uint64_t{4} << 20;
  EXPECT_LE(end.committed_bytes, warm.committed_bytes + kSlack);
  EXPECT_LE(end.resident_bytes, warm.resident_bytes + kSlack);
  // The sanitizers keep memory of their own for every thread and every freed block.
  if (!test::kSanitized) {
    EXPECT_LE(end_process, warm_process + kSlack);
  }
  // Those at once, the collector's, and one that the collector may have in hand.
  EXPECT_LE(threads::SlotCount(), slots + kAtOnce + 2);

  estate.Clear();
  (void)heap->Collect();
  EXPECT_EQ(lives.begun(), static_cast<int64_t>(count_all * 24));
  EXPECT_EQ(lives.now(), 0);
  const absl::Status state = heap->Verify();
  EXPECT_TRUE(state.ok()) << state;
}

}  // namespace
}  // namespace reef
