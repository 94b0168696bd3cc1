// Failure is typed and leaves everything as it was: memory at its limit, constructors that throw.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
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

constexpr uint64_t kLimit = uint64_t{32} << 20;

struct Page {
  explicit Page(Lives& lives) : life(lives) {}
  Life life;
  std::array<char, 4000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};
struct Large {
  explicit Large(Lives& lives) : life(lives) {}
  Life life;
  std::array<char, 3 << 20> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};
struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
  std::array<char, 1000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};

class LimitTest : public ::testing::Test {
 protected:
  static HeapOptions Options() {
    HeapOptions options = test::QuietOptions();
    options.max_bytes = kLimit;
    return options;
  }
  void TearDown() override {
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    const HeapStats stats = heap_->Stats();
    EXPECT_EQ(stats.live_objects + stats.raw_blocks, 0u);
    EXPECT_LE(stats.committed_bytes, kLimit);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }
  // Fills the heap with objects of T; leaves what TryMake said last in `error_`.
  template <typename T>
  std::vector<Ref<T>> Fill() {
    std::vector<Ref<T>> all;
    while (true) {
      absl::StatusOr<Ref<T>> next = heap_->TryMake<T>(lives_);
      if (!next.ok()) {
        error_ = next.status();
        return all;
      }
      all.push_back(*std::move(next));
    }
  }

  Lives lives_;
  absl::Status error_;
  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};

TEST_F(LimitTest, TryMakeSaysResourceExhausted) {
  const std::vector<Ref<Page>> pages = Fill<Page>();
  EXPECT_EQ(error_.code(), absl::StatusCode::kResourceExhausted);
  // Most of the limit can be used.
  EXPECT_GT(pages.size() * sizeof(Page), kLimit / 2);
  EXPECT_LE(heap_->Stats().committed_bytes, kLimit);
  EXPECT_EQ(lives_.begun(), static_cast<int64_t>(pages.size()));
}

// Nothing can be reclaimed, and a thread that sleeps in a scope does not change that. (With a
// smaller share of a core it would not collect at all, the third time.)
TEST_F(LimitTest, FailingAllocationCollectsOnce) {
  HeapOptions options = Options();
  options.collector_cpu_percent = 100;
  heap_ = test::NewHeap(options);
  const std::vector<Ref<Node>> nodes = Fill<Node>();
  const auto fail = [&] {
    const uint64_t before = heap_->Stats().collections;
    EXPECT_FALSE(heap_->TryMake<Node>(lives_).ok());
    return heap_->Stats().collections - before;
  };
  EXPECT_EQ(fail(), 1u);
  test::Sleeper sleeper;
  EXPECT_EQ(fail(), 1u);
}

TEST_F(LimitTest, MakeThrowsOutOfMemory) {
  const std::vector<Ref<Page>> pages = Fill<Page>();
  try {
    (void)heap_->Make<Page>(lives_);
    ADD_FAILURE() << "made an object beyond the limit";
  } catch (const OutOfMemory& error) {
    EXPECT_EQ(error.bytes(), sizeof(Page));
    EXPECT_NE(std::string(error.what()).find("out of memory"), std::string::npos);
  }
  EXPECT_THROW((void)heap_->Make<Page>(lives_), std::bad_alloc);
  EXPECT_EQ(lives_.begun(), static_cast<int64_t>(pages.size()));
}

TEST_F(LimitTest, RawAllocationFailsTheSameWay) {
  std::vector<void*> blocks;
  while (void* block = heap_->TryAllocate(10'000)) blocks.push_back(block);
  EXPECT_GT(blocks.size() * 10'000, kLimit / 2);
  EXPECT_EQ(heap_->TryAllocate(10'000), nullptr);
  try {
    (void)heap_->Allocate(10'000);
    ADD_FAILURE() << "allocated beyond the limit";
  } catch (const OutOfMemory& error) {
    EXPECT_EQ(error.bytes(), 10'000u);
  }
  for (void* block : blocks) heap_->Deallocate(block);
}

TEST_F(LimitTest, RequestsBeyondAllLimitsFailAtOnce) {
  const size_t huge = ~size_t{0};
  for (const size_t bytes :
       {kLimit + 1, uint64_t{1} << 40, uint64_t{1} << 62, huge / 2, huge - 16, huge - 1, huge}) {
    EXPECT_EQ(heap_->TryAllocate(bytes), nullptr) << bytes;
    EXPECT_EQ(heap_->TryAllocate(bytes, 65'536), nullptr) << bytes;
    EXPECT_THROW((void)heap_->Allocate(bytes), OutOfMemory) << bytes;
  }
  void* block = heap_->Allocate(100);
  heap_->Deallocate(block);
}

TEST_F(LimitTest, DroppedMemoryCanBeUsedAgainForOtherSizes) {
  for (int round = 0; round < 5; ++round) {
    const size_t pages = Fill<Page>().size();
    EXPECT_GT(pages, 4000u) << round;
    const size_t large = Fill<Large>().size();
    EXPECT_GE(large, 5u) << round;
    const size_t nodes = Fill<Node>().size();
    EXPECT_GT(nodes, 15'000u) << round;
  }
}

TEST_F(LimitTest, OneFreedObjectMakesRoomForOne) {
  std::vector<Ref<Page>> pages = Fill<Page>();
  for (int i = 0; i < 1000; ++i) {
    pages.pop_back();
    absl::StatusOr<Ref<Page>> next = heap_->TryMake<Page>(lives_);
    ASSERT_TRUE(next.ok()) << next.status();
    pages.push_back(*std::move(next));
  }
}

TEST_F(LimitTest, UnreachableCyclesAreCollectedBeforeFailing) {
  // Three times what fits, all of it garbage.
  for (size_t i = 0; i < 3 * kLimit / sizeof(Node); ++i) {
    absl::StatusOr<Ref<Node>> node = heap_->TryMake<Node>(lives_);
    ASSERT_TRUE(node.ok()) << node.status() << " after " << i;
    (*node)->next = *node;
  }
  EXPECT_GT(heap_->Stats().garbage_objects, 0u);
}

TEST_F(LimitTest, GarbageOfOneSizeMakesRoomForAnother) {
  for (size_t bytes = 0; bytes < kLimit * 3 / 4; bytes += sizeof(Node)) {
    const Ref<Node> node = heap_->Make<Node>(lives_);
    node->next = node;
  }
  EXPECT_GT(heap_->Stats().live_bytes, kLimit / 2);
  void* block = heap_->TryAllocate(kLimit / 2);
  EXPECT_NE(block, nullptr);
  heap_->Deallocate(block);
}

TEST_F(LimitTest, ThreadsAtTheLimitFailAloneAndRecover) {
  test::RunThreads(4, [&](int) {
    for (int round = 0; round < 3; ++round) {
      std::vector<Ref<Page>> pages;
      while (true) {
        absl::StatusOr<Ref<Page>> next = heap_->TryMake<Page>(lives_);
        if (!next.ok()) {
          ASSERT_EQ(next.status().code(), absl::StatusCode::kResourceExhausted);
          break;
        }
        pages.push_back(*std::move(next));
        (*pages.back()).bytes.fill('x');
      }
    }
  });
}

using ConstructorTest = test::QuietHeapTest;

struct Failing {
  Failing(Lives& lives, const Ref<Page>& target, bool fail) : life(lives), page(target) {
    pages.push_back(target);
    pages.push_back(target);
    if (fail) throw std::runtime_error("not today");
  }
  void Trace(Visitor& v) const { v.Visit(page, pages); }
  Life life;
  Member<Page> page;
  Vector<Page> pages;
};
struct FailingLeaf {
  FailingLeaf(Lives& lives, int code) : life(lives) {
    if (code != 0) throw code;
  }
  Life life;
};
struct FailingRun {
  FailingRun(Lives& lives, int code) : life(lives) {
    if (code != 0) throw code;
  }
  Life life;
  std::array<char, 200'000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};

TEST_F(ConstructorTest, ThrowingConstructorLeavesNothing) {
  const Ref<Page> page = heap_->Make<Page>(lives_);
  const HeapStats before = heap_->Stats();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_THROW((void)heap_->Make<Failing>(lives_, page, true), std::runtime_error);
    EXPECT_THROW((void)heap_->TryMake<Failing>(lives_, page, true), std::runtime_error);
    EXPECT_THROW((void)heap_->Make<FailingLeaf>(lives_, 1), int);
    EXPECT_THROW((void)heap_->Make<FailingRun>(lives_, 1), int);
  }
  const HeapStats after = heap_->Stats();
  EXPECT_EQ(after.live_objects, before.live_objects);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(RefCount(page), 2);
  EXPECT_EQ(lives_.now(), 1);
  const Ref<Failing> made = heap_->Make<Failing>(lives_, page, false);
  EXPECT_EQ(RefCount(page), 5);
}

TEST_F(ConstructorTest, ThrowingConstructorUnderCollectionsLeavesNothing) {
  const Ref<Page> page = heap_->Make<Page>(lives_);
  {
    const test::ConstantCollector collector(*heap_);
    for (int i = 0; i < 5000 || collector.rounds() < 10; ++i) {
      ASSERT_THROW((void)heap_->Make<Failing>(lives_, page, true), std::runtime_error);
    }
  }
  (void)heap_->Collect();
  EXPECT_EQ(RefCount(page), 2);
  EXPECT_EQ(heap_->Stats().live_objects, 1u);
}

TEST_F(ConstructorTest, ConstructorsMayMakeObjectsOfTheirOwn) {
  struct Branch {
    Branch(Heap& heap, Lives& lives, int depth) : life(lives) {
      if (depth == 0) return;
      left = heap.Make<Branch>(heap, lives, depth - 1);
      right = heap.Make<Branch>(heap, lives, depth - 1);
    }
    void Trace(Visitor& v) const { v.Visit(left, right); }
    Life life;
    Member<Branch> left;
    Member<Branch> right;
  };
  const test::ConstantCollector collector(*heap_);
  for (int i = 0; i < 20 || collector.rounds() < 5; ++i) {
    const Ref<Branch> root = heap_->Make<Branch>(*heap_, lives_, 8);
    // The tree before it is gone, or about to be, where it was under the marker's hands.
    ASSERT_TRUE(test::Eventually([&] { return lives_.now() == 511; })) << lives_.now();
    ASSERT_EQ(RefCount(root), 2);
  }
}

}  // namespace
}  // namespace reef
