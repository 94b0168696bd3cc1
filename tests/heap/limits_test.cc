// Limits as a program sees them: external bytes, the soft and the hard limit, the callback, and an
// end to collections that free nothing.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kLimit = 32 * kMiB;

// A small object that owns much.
struct Tensor {
  Tensor(Lives& lives, size_t owned) : life(lives), bytes(owned) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  ExternalBytes bytes;
  Member<Tensor> next;
};
struct LeafTensor {
  LeafTensor(Lives& lives, size_t owned) : life(lives), bytes(owned) {}
  Life life;
  ExternalBytes bytes;
};
struct Page {
  explicit Page(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Page> next;
  std::array<char, 4000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};

class LimitsTest : public ::testing::Test {
 protected:
  static HeapOptions Options() {
    HeapOptions options = test::QuietOptions();
    options.max_bytes = kLimit;
    return options;
  }
  void Open(const HeapOptions& options) { heap_ = test::NewHeap(options); }
  void TearDown() override {
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    const HeapStats stats = heap_->Stats();
    EXPECT_EQ(stats.live_objects, 0u);
    EXPECT_EQ(stats.external_bytes, 0u);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }
  uint64_t External() const { return heap_->Stats().external_bytes; }
  std::vector<Ref<Page>> Fill() {
    std::vector<Ref<Page>> pages;
    for (;;) {
      absl::StatusOr<Ref<Page>> page = heap_->TryMake<Page>(lives_);
      if (!page.ok()) return pages;
      pages.push_back(*std::move(page));
    }
  }

  Lives lives_;
  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};

TEST_F(LimitsTest, ExternalBytesLiveAndDieWithTheirObject) {
  Ref<Tensor> tensor = heap_->Make<Tensor>(lives_, 5 * kMiB);
  Ref<LeafTensor> leaf = heap_->Make<LeafTensor>(lives_, 3 * kMiB);
  EXPECT_EQ(External(), 8 * kMiB);
  tensor->bytes.Resize(6 * kMiB);
  EXPECT_EQ(tensor->bytes.bytes(), 6 * kMiB);
  EXPECT_EQ(External(), 9 * kMiB);
  leaf->bytes.Resize(0);
  EXPECT_EQ(External(), 6 * kMiB);
  leaf.Reset();
  tensor->next = tensor;
  tensor.Reset();
  EXPECT_EQ(External(), 6 * kMiB);
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(External(), 0u);
}

TEST_F(LimitsTest, FailedConstructorGivesItsExternalBytesBack) {
  struct Failing {
    Failing() : bytes(kMiB) { throw std::runtime_error("not today"); }
    ExternalBytes bytes;
  };
  EXPECT_THROW((void)heap_->Make<Failing>(), std::runtime_error);
  EXPECT_EQ(External(), 0u);
}

TEST_F(LimitsTest, HardLimitHoldsForBothTogether) {
  const Ref<Tensor> tensor = heap_->Make<Tensor>(lives_, kLimit / 2);
  try {
    tensor->bytes.Resize(kLimit);
    ADD_FAILURE() << "owns more than the limit";
  } catch (const OutOfMemory& error) {
    EXPECT_EQ(error.bytes(), kLimit);
  }
  EXPECT_EQ(tensor->bytes.bytes(), kLimit / 2);
  EXPECT_THROW(tensor->bytes.Resize(std::numeric_limits<size_t>::max()), OutOfMemory);
  EXPECT_THROW((void)heap_->Make<Tensor>(lives_, kLimit / 2), OutOfMemory);
  const std::vector<Ref<Page>> pages = Fill();
  EXPECT_LT(pages.size() * sizeof(Page), kLimit / 2);
  EXPECT_GT(pages.size() * sizeof(Page), kLimit / 3);
  const HeapStats stats = heap_->Stats();
  EXPECT_LE(stats.committed_bytes + stats.external_bytes, kLimit);
}

TEST_F(LimitsTest, ByHandTheSame) {
  heap_->AddExternalBytes(static_cast<int64_t>(kLimit / 2));
  EXPECT_EQ(External(), kLimit / 2);
  EXPECT_EQ(heap_->TryAddExternalBytes(static_cast<int64_t>(kLimit)).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THROW(heap_->AddExternalBytes(std::numeric_limits<int64_t>::max()), OutOfMemory);
  EXPECT_EQ(External(), kLimit / 2);
  EXPECT_TRUE(heap_->TryAddExternalBytes(-static_cast<int64_t>(kLimit / 2)).ok());
}

TEST_F(LimitsTest, GarbageThatOwnsMuchMakesRoomAlsoForAConstructor) {
  // Each is garbage at once, and four of them are too many. The room is asked for by a member of an
  // object under construction.
  for (int i = 0; i < 40; ++i) {
    const Ref<Tensor> tensor = heap_->Make<Tensor>(lives_, kLimit / 4);
    tensor->next = tensor;
  }
  EXPECT_GT(heap_->Stats().emergencies, 5u);
}

TEST_F(LimitsTest, ExternalGrowthAloneStartsCollections) {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.collector_cpu_percent = 100;
  Open(options);
  ASSERT_TRUE(test::Eventually([&] {
    const Ref<Tensor> tensor = heap_->Make<Tensor>(lives_, 100 * kMiB);
    tensor->next = tensor;
    return heap_->Stats().collections >= 3;
  }));
  EXPECT_LT(heap_->Stats().committed_bytes, 8 * kMiB);
}

TEST_F(LimitsTest, AboveTheSoftLimitCollectionsDoNotWaitForGrowth) {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.growth_bytes = uint64_t{1} << 40;
  options.collector_cpu_percent = 100;
  options.soft_limit_bytes = 8 * kMiB;
  Open(options);
  std::vector<Ref<Page>> pages;
  for (int i = 0; i < 4000; ++i) pages.push_back(heap_->Make<Page>(lives_));
  EXPECT_GT(heap_->Stats().committed_bytes, options.soft_limit_bytes);
  // More often than the quiet interval of two seconds would allow: each needs a suspect only.
  const auto start = std::chrono::steady_clock::now();
  const uint64_t before = heap_->Stats().collections;
  ASSERT_TRUE(test::Eventually([&] {
    const Ref<Page> page = heap_->Make<Page>(lives_);
    page->next = page;
    return heap_->Stats().collections >= before + 20;
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(LimitsTest, OnLimitMayMakeRoom) {
  std::vector<Ref<Page>> cache;
  std::vector<LimitReport> reports;
  HeapOptions options = Options();
  options.on_limit = [&](const LimitReport& report) {
    reports.push_back(report);
    cache.clear();
  };
  Open(options);
  cache = Fill();
  ASSERT_EQ(reports.size(), 1u);  // when there was nothing in the cache yet
  EXPECT_TRUE(reports[0].collected);
  EXPECT_EQ(reports[0].max_bytes, kLimit);
  EXPECT_GE(reports[0].requested_bytes, sizeof(Page));
  EXPECT_GT(reports[0].committed_bytes, kLimit * 9 / 10);
  // Another size: nothing of it is left in any slab.
  void* block = heap_->TryAllocate(10 * kMiB);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(reports.size(), 2u);
  EXPECT_TRUE(cache.empty());
  heap_->Deallocate(block);
}

TEST_F(LimitsTest, OnLimitIsNotCalledForItsOwnAllocations) {
  int calls = 0;
  HeapOptions options = Options();
  options.on_limit = [&](const LimitReport&) {
    ++calls;
    EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  };
  Open(options);
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(calls, 2);
}

const char* g_phase = "";

TEST_F(LimitsTest, WhatOnLimitThrowsIsReportedAndTheErrorStaysTyped) {
  HeapOptions options = Options();
  options.on_limit = [](const LimitReport&) { throw std::runtime_error("no idea"); };
  Open(options);
  const UnraisableHook before =
      SetUnraisableHook([](const Unraisable& what) { g_phase = what.phase; });
  EXPECT_THROW((void)heap_->Allocate(kLimit + 1), OutOfMemory);
  EXPECT_STREQ(g_phase, "on_limit");
  g_phase = "";
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);  // called again
  EXPECT_STREQ(g_phase, "on_limit");
  (void)SetUnraisableHook(before);
}

TEST_F(LimitsTest, OnLimitMayCollect) {
  std::vector<Ref<Page>> cache;
  HeapOptions options = Options();
  uint64_t found = 0;
  options.on_limit = [&](const LimitReport&) {
    for (const Ref<Page>& page : cache) page->next = page;
    const size_t count = cache.size();
    cache.clear();
    found = heap_->Collect().objects;
    EXPECT_EQ(found, count);
  };
  Open(options);
  cache = Fill();
  void* block = heap_->TryAllocate(10 * kMiB);
  EXPECT_NE(block, nullptr);
  EXPECT_GT(found, 1000u);
  heap_->Deallocate(block);
}

TEST_F(LimitsTest, FutileCollectionsComeToAnEnd) {
  HeapOptions options = Options();
  options.collector_cpu_percent = 1;  // a hundred times what a collection takes
  Open(options);
  const std::vector<Ref<Page>> pages = Fill();
  for (int i = 0; i < 3; ++i) (void)heap_->TryMake<Page>(lives_);
  const HeapStats before = heap_->Stats();
  EXPECT_GE(before.emergencies, 2u);
  constexpr int kFailures = 1000;
  for (int i = 0; i < kFailures; ++i) EXPECT_FALSE(heap_->TryMake<Page>(lives_).ok());
  const HeapStats after = heap_->Stats();
  // Without the cap it would be one for each.
  EXPECT_LT(after.emergencies - before.emergencies, 50u);
  EXPECT_GT(after.emergencies_refused - before.emergencies_refused, 900u);
}

TEST_F(LimitsTest, WhatIsDroppedWhileCollectionsAreRefusedCanBeUsed) {
  HeapOptions options = Options();
  options.collector_cpu_percent = 1;
  Open(options);
  for (int round = 0; round < 5; ++round) {
    std::vector<Ref<Page>> pages = Fill();
    EXPECT_GT(pages.size(), 4000u) << round;
    while (heap_->Stats().emergencies_refused == 0) (void)heap_->TryMake<Page>(lives_);
    pages.clear();
    void* block = heap_->TryAllocate(kLimit / 2);
    EXPECT_NE(block, nullptr) << round;
    heap_->Deallocate(block);
  }
}

TEST(LimitOptionsTest, SoftLimitMustFit) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = 10 * kMiB;
  options.soft_limit_bytes = 11 * kMiB;
  EXPECT_EQ(Heap::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.soft_limit_bytes = 1000;
  EXPECT_EQ(Heap::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.soft_limit_bytes = 10 * kMiB;
  const auto heap = Heap::Create(options);
  ASSERT_TRUE(heap.ok());
  EXPECT_EQ((*heap)->Stats().soft_limit_bytes, 10 * kMiB);
  EXPECT_EQ((*heap)->Stats().max_bytes, 10 * kMiB);
}

}  // namespace
}  // namespace reef
