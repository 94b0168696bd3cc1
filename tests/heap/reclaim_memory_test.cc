// After a peak, resident memory follows the live bytes down within a second, also when the
// process does nothing more.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <latch>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;

// The peak; and what may stay resident above the live bytes: metadata, caches, hysteresis.
constexpr uint64_t kPeak = uint64_t{test::kSanitized ? 64 : 200} << 20;
constexpr uint64_t kSlack = kPeak / 8;

template <size_t kBytes>
struct Leaf {
  Leaf() { bytes.fill(1); }
  std::array<char, kBytes> bytes;
};
struct Node {
  Node() { bytes.fill(1); }
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Node> next;
  std::array<char, 200> bytes;
};

class ReclaimMemoryTest : public ::testing::TestWithParam<bool> {
 protected:
  static HeapOptions Options() {
    HeapOptions options;
    options.reserve_bytes = uint64_t{2} << 30;
    options.huge_pages = GetParam();
    return options;
  }

  uint64_t Resident() const { return heap_->Stats().resident_bytes; }
  // The process is idle meanwhile but for asking. Resident memory counts whole pages, live bytes
  // blocks.
  bool FallsToLive() {
    return test::WithinASecond([&] { return Resident() <= heap_->Stats().live_bytes + kSlack; });
  }
  template <typename T>
  std::vector<Ref<T>> FillToPeak() {
    std::vector<Ref<T>> all;
    for (uint64_t bytes = 0; bytes < kPeak; bytes += sizeof(T)) all.push_back(heap_->Make<T>());
    EXPECT_GE(Resident(), kPeak);
    return all;
  }

  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};
INSTANTIATE_TEST_SUITE_P(HugePages, ReclaimMemoryTest, ::testing::Bool());

TEST_P(ReclaimMemoryTest, SmallObjects) {
  std::vector<Ref<Leaf<40>>> all = FillToPeak<Leaf<40>>();
  all.clear();
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, MediumObjects) {
  std::vector<Ref<Leaf<5000>>> all = FillToPeak<Leaf<5000>>();
  all.clear();
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, LargeObjects) {
  std::vector<Ref<Leaf<300'000>>> all = FillToPeak<Leaf<300'000>>();
  all.clear();
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, LargeRawBlocks) {
  constexpr size_t kBytes = size_t{16} << 20;
  std::vector<void*> blocks;
  for (uint64_t bytes = 0; bytes < kPeak; bytes += kBytes) {
    blocks.push_back(heap_->Allocate(kBytes));
    std::memset(blocks.back(), 1, kBytes);
  }
  EXPECT_GE(Resident(), kPeak);
  for (void* block : blocks) heap_->Deallocate(block);
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, ThreeQuartersOfTheObjects) {
  // What stays alive is at the front: its memory stays, the rest goes.
  std::vector<Ref<Leaf<200>>> all = FillToPeak<Leaf<200>>();
  all.resize(all.size() / 4);
  EXPECT_TRUE(FallsToLive()) << Resident();
  for (const Ref<Leaf<200>>& leaf : all) ASSERT_EQ(leaf->bytes[100], 1);
}

TEST_P(ReclaimMemoryTest, ListDroppedByOneStore) {
  Ref<Node> head;
  for (uint64_t bytes = 0; bytes < kPeak; bytes += sizeof(Node)) {
    Ref<Node> fresh = heap_->Make<Node>();
    fresh->next = std::move(head);
    head = std::move(fresh);
  }
  EXPECT_GE(Resident(), kPeak);
  head->next = nullptr;
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, Cycles) {
  for (uint64_t bytes = 0; bytes < kPeak; bytes += 2 * sizeof(Node)) {
    const Ref<Node> a = heap_->Make<Node>();
    a->next = heap_->Make<Node>();
    a->next->next = a;
  }
  (void)heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, ObjectsOfAThreadThatSleeps) {
  std::vector<Ref<Leaf<100>>> all;
  std::latch filled(1);
  std::latch release(1);
  std::thread maker([&] {
    all = FillToPeak<Leaf<100>>();
    filled.count_down();
    release.wait();
  });
  filled.wait();
  all.clear();
  EXPECT_TRUE(FallsToLive()) << Resident();
  EXPECT_TRUE(Eventually([&] { return heap_->Stats().live_objects == 0; }));
  release.count_down();
  maker.join();
}

TEST_P(ReclaimMemoryTest, ObjectsOfThreadsThatEnded) {
  test::RunThreads(4, [&](int) {
    std::vector<Ref<Leaf<100>>> all;
    for (uint64_t bytes = 0; bytes < kPeak / 4; bytes += 100) {
      all.push_back(heap_->Make<Leaf<100>>());
    }
  });
  EXPECT_TRUE(FallsToLive()) << Resident();
}

TEST_P(ReclaimMemoryTest, PeakAfterPeakIsServedFromTheSameMemory) {
  uint64_t highest = 0;
  for (int round = 0; round < 4; ++round) {
    std::vector<Ref<Leaf<1000>>> all = FillToPeak<Leaf<1000>>();
    highest = std::max(highest, Resident());
    for (const Ref<Leaf<1000>>& leaf : all) ASSERT_EQ(leaf->bytes[999], 1);
    all.clear();
    ASSERT_TRUE(FallsToLive()) << Resident();
  }
  EXPECT_LE(highest, kPeak + kPeak / 4);
}

}  // namespace
}  // namespace reef
