// Heap: options, several heaps beside each other, and their end.

#include "reef/heap.h"

#include <sys/resource.h>

#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <latch>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
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
using test::NewHeap;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};
struct Leaf {
  int64_t value = 5;
};

void ExpectInvalid(const HeapOptions& options, const std::string& name) {
  const absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(options);
  ASSERT_EQ(heap.status().code(), absl::StatusCode::kInvalidArgument) << name;
  EXPECT_NE(heap.status().message().find(name), std::string::npos) << heap.status();
}

TEST(HeapOptionsTest, OptionOutOfRangeIsNamed) {
  for (const int percent : {-1, 0, 101, 1'000'000}) {
    HeapOptions options;
    options.collector_cpu_percent = percent;
    ExpectInvalid(options, "collector_cpu_percent");
  }
  for (const int threads : {-1, 0, 17, 1'000'000}) {
    HeapOptions options;
    options.marker_threads = threads;
    ExpectInvalid(options, "marker_threads");
  }
  HeapOptions options;
  options.growth_percent = -1;
  ExpectInvalid(options, "growth_percent");
}

TEST(HeapOptionsTest, EndsOfTheRangesWork) {
  for (const int percent : {1, 100}) {
    for (const int threads : {1, 16}) {
      HeapOptions options = test::QuietOptions();
      options.collector_cpu_percent = percent;
      options.marker_threads = threads;
      options.huge_pages = threads == 1;
      const std::unique_ptr<Heap> heap = NewHeap(options);
      Lives lives;
      for (int i = 0; i < 100; ++i) {
        const Ref<Node> node = heap->Make<Node>(lives);
        node->next = node;
      }
      EXPECT_EQ(heap->Collect().objects, 100u);
    }
  }
}

TEST(HeapOptionsTest, ReservationIsRoundedUpToSegments) {
  HeapOptions options = test::QuietOptions();
  options.reserve_bytes = (uint64_t{128} << 20) + 1;
  const std::unique_ptr<Heap> heap = NewHeap(options);
  EXPECT_EQ(heap->Stats().reserved_bytes, uint64_t{132} << 20);
}

TEST(HeapTest, ContainsKnowsItsOwnObjectsOnly) {
  const std::unique_ptr<Heap> one = NewHeap();
  const std::unique_ptr<Heap> two = NewHeap();
  const Ref<Leaf> first = one->Make<Leaf>();
  const Ref<Leaf> second = two->Make<Leaf>();
  const Ref<Leaf> third = Make<Leaf>();
  EXPECT_TRUE(one->Contains(first));
  EXPECT_FALSE(two->Contains(first));
  EXPECT_FALSE(DefaultHeap().Contains(first));
  EXPECT_TRUE(two->Contains(second));
  EXPECT_FALSE(one->Contains(second));
  EXPECT_TRUE(DefaultHeap().Contains(third));
  EXPECT_FALSE(one->Contains(third));
  EXPECT_FALSE(one->Contains(Ref<Leaf>()));
}

TEST(HeapTest, DefaultHeapIsOneForAll) {
  Heap* here = &DefaultHeap();
  Heap* there = nullptr;
  std::thread([&] { there = &DefaultHeap(); }).join();
  EXPECT_EQ(here, there);
  const absl::StatusOr<Ref<Leaf>> leaf = TryMake<Leaf>();
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ((*leaf)->value, 5);
  EXPECT_TRUE(here->Contains(*leaf));
}

TEST(HeapTest, FirstUseOfTheDefaultHeapMayBeOnManyThreads) {
  const auto child = [] {
    std::latch start(8);
    test::RunThreads(8, [&](int i) {
      start.arrive_and_wait();
      const Ref<Leaf> leaf = Make<Leaf>();
      leaf->value = i;
      if (RefCount(leaf) != 2) std::abort();
    });
    std::exit(DefaultHeap().Verify().ok() ? 0 : 1);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

TEST(HeapTest, CollectionOfOneHeapLeavesTheOthersAlone) {
  const std::unique_ptr<Heap> one = NewHeap();
  const std::unique_ptr<Heap> two = NewHeap();
  Lives lives_one;
  Lives lives_two;
  for (int i = 0; i < 10; ++i) {
    const Ref<Node> a = one->Make<Node>(lives_one);
    a->next = a;
    const Ref<Node> b = two->Make<Node>(lives_two);
    b->next = b;
  }
  EXPECT_EQ(one->Collect().objects, 10u);
  EXPECT_EQ(lives_one.now(), 0);
  EXPECT_EQ(lives_two.now(), 10);
  EXPECT_EQ(two->Collect().objects, 10u);
}

TEST(HeapTest, EndOfAHeapCollectsItsCycles) {
  Lives lives;
  {
    const std::unique_ptr<Heap> heap = NewHeap();
    for (int i = 0; i < 10; ++i) {
      const Ref<Node> node = heap->Make<Node>(lives);
      node->next = node;
    }
  }
  EXPECT_EQ(lives.ended(), 10);
}

TEST(HeapTest, RefsOutliveTheirHeapAndAreReported) {
  const auto child = [] {
    Lives lives;
    {
      Ref<Node> kept;
      {
        const std::unique_ptr<Heap> heap = NewHeap();
        kept = heap->Make<Node>(lives);
        kept->next = heap->Make<Node>(lives);
        const Ref<Node> garbage = heap->Make<Node>(lives);
        garbage->next = garbage;
      }
      if (lives.now() != 2) std::exit(2);
      std::vector<Ref<Node>> copies(3000, kept);
      if (RefCount(kept) != 3002) std::exit(3);
      copies.clear();
      kept->next = nullptr;
      if (lives.now() != 1) std::exit(4);
      // New heaps do not get in its way.
      for (int i = 0; i < 5; ++i) {
        const std::unique_ptr<Heap> other = NewHeap();
        const Ref<Node> node = other->Make<Node>(lives);
        if (other->Contains(kept)) std::exit(5);
      }
      if (RefCount(kept) != 2) std::exit(6);
    }
    std::exit(lives.now() == 0 ? 0 : 7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0),
              "reef: .*a Heap was destroyed while 2 of its objects are still referred to");
}

TEST(HeapTest, HeapWithoutRootsEndsInSilence) {
  const auto child = [] {
    {
      Lives lives;
      const std::unique_ptr<Heap> heap = NewHeap();
      for (int i = 0; i < 1000; ++i) {
        Ref<Node> node = heap->Make<Node>(lives);
        node->next = i % 2 == 0 ? node : heap->Make<Node>(lives);
      }
    }
    std::cerr << "end" << std::endl;
    std::exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^end\n$");
}

TEST(HeapTest, ThreeHundredHeapsInSequence) {
  for (int i = 0; i < 300; ++i) {
    HeapOptions options = test::QuietOptions();
    options.reserve_bytes = uint64_t{64} << 20;
    Lives lives;
    {
      const std::unique_ptr<Heap> heap = NewHeap(options);
      Ref<Node> node = heap->Make<Node>(lives);
      node->next = heap->Make<Node>(lives);
      node->next->next = node;
      std::thread([&, moved = std::move(node)]() mutable { moved.Reset(); }).join();
      void* raw = heap->Allocate(100);
      heap->Deallocate(raw);
    }
    ASSERT_EQ(lives.now(), 0) << i;
  }
}

TEST(HeapTest, HeapsBeyondTheLastAreRefusedAndComeBack) {
  const auto child = [] {
    HeapOptions options = test::QuietOptions();
    options.reserve_bytes = uint64_t{64} << 20;
    std::vector<std::unique_ptr<Heap>> heaps;
    absl::Status refusal;
    while (heaps.size() < 300) {
      absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(options);
      if (!heap.ok()) {
        refusal = heap.status();
        break;
      }
      heaps.push_back(*std::move(heap));
    }
    std::cerr << heaps.size() << " heaps, then " << refusal << std::endl;
    if (refusal.code() != absl::StatusCode::kResourceExhausted) std::exit(1);
    if (heaps.size() < 254 || heaps.size() > 255) std::exit(2);
    const Ref<Leaf> leaf = heaps.back()->Make<Leaf>();
    if (leaf->value != 5) std::exit(3);
    heaps.front().reset();
    std::exit(Heap::Create(options).ok() ? 0 : 4);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

// The sanitizers themselves need more addresses than such a limit allows.
#if !REEF_TEST_ASAN && !REEF_TEST_TSAN
TEST(HeapTest, WorksUnderALimitOnAddresses) {
  for (const int mebibytes : {700, 1000, 1100, 1400, 2100, 2600, 4200, 9000, 40'000}) {
    const auto child = [mebibytes] {
      rlimit limit;
      if (getrlimit(RLIMIT_AS, &limit) != 0) std::exit(1);
      limit.rlim_cur = static_cast<rlim_t>(mebibytes) << 20;
      if (setrlimit(RLIMIT_AS, &limit) != 0) std::exit(2);
      std::vector<Ref<Leaf>> leaves(100'000);
      for (Ref<Leaf>& leaf : leaves) leaf = Make<Leaf>();
      std::thread([&] { leaves.clear(); }).join();
      (void)DefaultHeap().Collect();
      std::cerr << Heap::Create().status() << std::endl;
      std::exit(0);
    };
    EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^(OK|RESOURCE_EXHAUSTED: .*)\n$")
        << mebibytes << " MiB";
  }
}
#endif

// A thread has caches of every heap that it used; those of a heap that is gone must not serve the
// next one with its number.
TEST(HeapTest, ThreadsGoOnFromHeapToHeap) {
  constexpr int kRounds = 20;
  std::unique_ptr<Heap> heap;
  Lives lives;
  std::barrier step(2);
  const auto use = [&] {
    for (int i = 0; i < 100; ++i) {
      const Ref<Node> node = heap->Make<Node>(lives);
      node->next = heap->Make<Node>(lives);
      ASSERT_TRUE(heap->Contains(node));
    }
  };
  std::thread other([&] {
    for (int round = 0; round < kRounds; ++round) {
      step.arrive_and_wait();  // there is a new heap
      use();
      step.arrive_and_wait();  // both are done with it
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    heap = NewHeap();
    step.arrive_and_wait();
    use();
    step.arrive_and_wait();
    EXPECT_EQ(heap->Stats().live_objects, 0u);
    EXPECT_TRUE(heap->Verify().ok()) << heap->Verify();
    heap.reset();
  }
  other.join();
  EXPECT_EQ(lives.now(), 0);
}

// A function whose copies fail from some number on.
struct Reluctant {
  Reluctant(int* copies_left, bool without_memory) : left(copies_left), memory(without_memory) {}
  Reluctant(const Reluctant& other) : left(other.left), memory(other.memory) {
    if (--*left >= 0) return;
    if (memory) throw std::bad_alloc();
    throw std::runtime_error("no copy");
  }
  Reluctant(Reluctant&&) noexcept = default;
  template <typename Anything>
  void operator()(Anything&&) const {}
  int* left;
  bool memory;
};

TEST(HeapTest, FunctionsThatCannotBeCopiedTakeNothing) {
  int left = 100;
  HeapOptions options = test::QuietOptions();
  options.on_limit = Reluctant(&left, false);
  options.finalizer_executor = Reluctant(&left, false);
  // More often than there may be heaps.
  for (int i = 0; i < 300; ++i) {
    left = i % 2;
    EXPECT_THROW((void)Heap::Create(options), std::runtime_error);
  }
  left = 100;
  options.on_limit = Reluctant(&left, true);
  left = 0;
  EXPECT_EQ(Heap::Create(options).status().code(), absl::StatusCode::kResourceExhausted);
  left = 100;
  EXPECT_TRUE(Heap::Create(options).ok());
}

}  // namespace
}  // namespace reef
