// on_limit and the report it gets: where no collection is run, what it may do to the object that
// grows, and when it is set and ends.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
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
constexpr uint64_t kLimit = 8 * kMiB;

struct Page {
  explicit Page(Lives& lives) : life(lives) {}
  ~Page() {
    if (at_end) at_end();
  }
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Page> next;
  std::function<void()> at_end;
  std::array<char, 4000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};
struct Owner {
  ExternalBytes bytes;
};

class OnLimitTest : public test::QuietHeapTest {
 protected:
  OnLimitTest() { Open(HeapEnd::kReport); }
  void Open(HeapEnd end) {
    HeapOptions options = test::QuietOptions();
    options.max_bytes = kLimit;
    options.end = end;
    options.on_limit = [this](const LimitReport& report) {
      reports_.push_back(report);
      if (at_limit_) at_limit_();
    };
    heap_ = test::NewHeap(options);
  }
  void Fill() {
    for (;;) {
      absl::StatusOr<Ref<Page>> page = heap_->TryMake<Page>(lives_);
      if (!page.ok()) break;
      pages_.push_back(*std::move(page));
    }
    reports_.clear();
  }
  void TearDown() override {
    pages_.clear();
    QuietHeapTest::TearDown();
  }
  // Fails at once: nothing is collected or waited for.
  void ExpectNothingIsRun() {
    const uint64_t before = heap_->Stats().emergencies;
    const size_t reports = reports_.size();
    EXPECT_FALSE(heap_->TryMake<Page>(lives_).ok());
    EXPECT_EQ(heap_->TryAllocate(kMiB), nullptr);
    EXPECT_EQ(heap_->Stats().emergencies, before);
    ASSERT_EQ(reports_.size(), reports + 2);
    EXPECT_FALSE(reports_.back().collected);
    EXPECT_EQ(reports_.back().max_bytes, kLimit);
  }

  std::vector<LimitReport> reports_;
  std::function<void()> at_limit_;
  std::vector<Ref<Page>> pages_;
};

TEST_F(OnLimitTest, NothingIsCollectedInAReadScope) {
  Fill();
  const ReadScope scope;
  ExpectNothingIsRun();
}

TEST_F(OnLimitTest, NothingIsCollectedInADestructor) {
  Fill();
  Ref<Page> page = std::move(pages_.back());
  pages_.pop_back();
  int ends = 0;
  page->at_end = [&] {
    ++ends;
    ExpectNothingIsRun();
  };
  page.Reset();
  EXPECT_EQ(ends, 1);
}

TEST_F(OnLimitTest, NothingIsCollectedOnTheCollectorThread) {
  Fill();
  int ends = 0;
  pages_[0]->next = pages_[0];
  pages_[0]->at_end = [&] {
    ++ends;
    ExpectNothingIsRun();
  };
  pages_.erase(pages_.begin());
  EXPECT_EQ(heap_->Collect().objects, 1u);
  EXPECT_EQ(ends, 1);
}

TEST_F(OnLimitTest, WhatCannotFitIsNotCollectedFor) {
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(heap_->Stats().emergencies, 0u);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_FALSE(reports_[0].collected);
  EXPECT_EQ(reports_[0].requested_bytes, kLimit + 1);
}

// The object that wants more is itself a cache that on_limit shrinks.
TEST_F(OnLimitTest, MayResizeTheObjectThatGrows) {
  const Ref<Owner> owner = heap_->Make<Owner>();
  for (const size_t meanwhile : {size_t{0}, size_t{kMiB}, size_t{4 * kMiB}}) {
    owner->bytes.Resize(5 * kMiB);
    const Ref<Owner> other = heap_->Make<Owner>();
    other->bytes.Resize(kMiB);
    at_limit_ = [&] {
      owner->bytes.Resize(meanwhile);
      other->bytes.Resize(0);
    };
    owner->bytes.Resize(7 * kMiB);
    EXPECT_EQ(owner->bytes.bytes(), 7 * kMiB);
    EXPECT_EQ(heap_->Stats().external_bytes, 7 * kMiB) << meanwhile;
    owner->bytes.Resize(0);
    EXPECT_EQ(heap_->Stats().external_bytes, 0u);
  }
  at_limit_ = [&] { owner->bytes.Resize(kMiB); };
  EXPECT_THROW(owner->bytes.Resize(2 * kLimit), OutOfMemory);
  EXPECT_EQ(owner->bytes.bytes(), kMiB) << "as on_limit has left it";
  EXPECT_EQ(heap_->Stats().external_bytes, kMiB);
  // Whose every step fits, but not the whole.
  at_limit_ = [&] { owner->bytes.Resize(0); };
  owner->bytes.Resize(5 * kMiB);
  EXPECT_THROW(owner->bytes.Resize(kLimit + kMiB), OutOfMemory);
  EXPECT_EQ(heap_->Stats().external_bytes, owner->bytes.bytes());
}

TEST_F(OnLimitTest, MayBeSetLaterAndTakenAway) {
  int others = 0;
  heap_->SetOnLimit([&others](const LimitReport&) { ++others; });
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(others, 1);
  EXPECT_TRUE(reports_.empty());
  heap_->SetOnLimit(nullptr);
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(others, 1);
  // It may set another one, and what it has captured stays until it returns.
  auto captured = std::make_shared<int>(7);
  heap_->SetOnLimit([this, captured, &others](const LimitReport&) {
    heap_->SetOnLimit(nullptr);
    others += *captured;
  });
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(others, 8);
  EXPECT_EQ(captured.use_count(), 1);
}

TEST_F(OnLimitTest, TheDefaultHeapHasOne) {
  int calls = 0;
  DefaultHeap().SetOnLimit([&calls](const LimitReport&) { ++calls; });
  EXPECT_EQ(DefaultHeap().TryAllocate(std::numeric_limits<size_t>::max() / 4), nullptr);
  EXPECT_EQ(calls, 1);
  DefaultHeap().SetOnLimit(nullptr);
}

TEST_F(OnLimitTest, NotInsideThatOfAnotherHeap) {
  int calls = 0;
  HeapOptions options = test::QuietOptions();
  options.max_bytes = kLimit;
  options.on_limit = [&calls](const LimitReport&) { ++calls; };
  const std::unique_ptr<Heap> other = test::NewHeap(options);
  at_limit_ = [&] { EXPECT_EQ(other->TryAllocate(kLimit + 1), nullptr); };
  EXPECT_EQ(heap_->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(reports_.size(), 1u);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(other->TryAllocate(kLimit + 1), nullptr);
  EXPECT_EQ(calls, 1);
}

TEST_F(OnLimitTest, NotAfterTheHeapsEnd) {
  for (const HeapEnd end : {HeapEnd::kReport, HeapEnd::kLeak}) {
    Open(end);
    const Ref<Owner> left = heap_->Make<Owner>();
    testing::internal::CaptureStderr();
    heap_.reset();
    (void)testing::internal::GetCapturedStderr();
    EXPECT_THROW(left->bytes.Resize(2 * kLimit), OutOfMemory);
    EXPECT_TRUE(reports_.empty());
  }
  Open(HeapEnd::kReport);
}

// Objects that a scope holds back are waited for, but not by each allocation that fails.
TEST_F(OnLimitTest, FailuresDoNotWaitForScopesOneAfterTheOther) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = kLimit;
  options.collector_cpu_percent = 1;
  heap_ = test::NewHeap(options);
  AtomicRef<Page> place;
  place.Store(heap_->Make<Page>(lives_));
  Fill();
  {
    const test::Sleeper sleeper;
    place.Store(nullptr);
    while (heap_->Stats().emergencies_refused == 0) (void)heap_->TryMake<Page>(lives_);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(heap_->TryMake<Page>(lives_).ok());
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    EXPECT_GT(heap_->Stats().emergencies_refused, 50u);
  }
  EXPECT_TRUE(test::Eventually([this] { return heap_->TryMake<Page>(lives_).ok(); }));
}

}  // namespace
}  // namespace reef
