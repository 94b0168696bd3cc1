// Blocks: every size and alignment, no overlap, reuse, and what an object costs.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

bool IsAligned(const void* pointer, size_t alignment) {
  return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

// Raw blocks, each filled with a byte of its own while it is held.
class Blocks {
 public:
  explicit Blocks(Heap& heap) : heap_(heap) {}
  ~Blocks() {
    while (!all_.empty()) Drop(all_.size() - 1);
  }
  void Add(size_t bytes, size_t alignment = alignof(std::max_align_t)) {
    void* data = heap_.Allocate(bytes, alignment);
    ASSERT_NE(data, nullptr);
    // As with malloc, a block smaller than the default alignment need not have it.
    const bool is_smaller = bytes < alignment && alignment <= alignof(std::max_align_t);
    ASSERT_TRUE(IsAligned(data, is_smaller ? 8 : alignment)) << bytes << " at " << alignment;
    const auto fill = static_cast<unsigned char>(++count_ * 37);
    std::memset(data, fill, bytes);
    all_.push_back({static_cast<unsigned char*>(data), bytes, fill});
  }
  // Checks that nobody else has written there, then frees.
  void Drop(size_t index) {
    const Block block = all_[index];
    const unsigned char* end = block.data + block.bytes;
    const unsigned char* strange =
        std::find_if(static_cast<const unsigned char*>(block.data), end,
                     [&block](unsigned char byte) { return byte != block.fill; });
    ASSERT_EQ(strange, end) << "byte " << strange - block.data << " of " << block.bytes;
    heap_.Deallocate(block.data);
    all_[index] = all_.back();
    all_.pop_back();
  }
  size_t size() const { return all_.size(); }

 private:
  struct Block {
    unsigned char* data;
    size_t bytes;
    unsigned char fill;
  };
  Heap& heap_;
  size_t count_ = 0;
  std::vector<Block> all_;
};

class AllocationTest : public test::QuietHeapTest {
 protected:
  void TearDown() override {
    EXPECT_EQ(heap_->Stats().raw_blocks, 0u);
    EXPECT_EQ(heap_->Stats().raw_bytes, 0u);
    QuietHeapTest::TearDown();
  }
};

TEST_F(AllocationTest, EverySizeUpToSeventyThousand) {
  // A window of neighbouring sizes is held at a time.
  Blocks blocks(*heap_);
  const size_t step = test::Sized(1, 7);
  for (size_t bytes = 1; bytes <= 70'000; bytes += step) {
    ASSERT_NO_FATAL_FAILURE(blocks.Add(bytes));
    if (blocks.size() > 64) {
      ASSERT_NO_FATAL_FAILURE(blocks.Drop(bytes % 64));
    }
  }
}

TEST_F(AllocationTest, EveryAlignmentUpToASlab) {
  Blocks blocks(*heap_);
  for (size_t alignment = 1; alignment <= 65'536; alignment *= 2) {
    for (const size_t bytes : {size_t{1}, size_t{24}, size_t{100}, alignment - 1, alignment,
                               alignment + 1, 3 * alignment, size_t{40'000}, size_t{200'000}}) {
      if (bytes == 0) continue;
      for (int i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(blocks.Add(bytes, alignment));
    }
  }
}

TEST_F(AllocationTest, RandomSizesNeverOverlap) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::mt19937_64 random(seed);
  Blocks blocks(*heap_);
  const size_t steps = test::Sized(40'000, 4'000);
  for (size_t i = 0; i < steps; ++i) {
    const size_t most = size_t{1} << (1 + test::Below(random, 18));
    ASSERT_NO_FATAL_FAILURE(blocks.Add(1 + test::Below(random, most)));
    while (blocks.size() > 300) {
      ASSERT_NO_FATAL_FAILURE(blocks.Drop(test::Below(random, blocks.size())));
    }
  }
}

TEST_F(AllocationTest, BlocksMayBeFreedByAnyThread) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::unique_ptr<Blocks>> all;
    for (int i = 0; i < kThreads; ++i) all.push_back(std::make_unique<Blocks>(*heap_));
    test::RunThreads(kThreads, [&](int i) {
      for (size_t bytes = 1; bytes < 40'000; bytes += 97) {
        all[static_cast<size_t>(i)]->Add(bytes);
      }
    });
    test::RunThreads(kThreads,
                     [&](int i) { all[static_cast<size_t>((i + 1) % kThreads)].reset(); });
  }
}

TEST_F(AllocationTest, NullIsIgnoredByDeallocate) {
  heap_->Deallocate(nullptr);
  EXPECT_EQ(heap_->Stats().raw_blocks, 0u);
}

TEST_F(AllocationTest, LargeBlocksAreUsableFromEndToEnd) {
  for (const size_t bytes : {size_t{1} << 20, (size_t{4} << 20) + 1, size_t{64} << 20}) {
    auto* data = static_cast<unsigned char*>(heap_->Allocate(bytes));
    for (size_t at = 0; at < bytes; at += 4096) data[at] = static_cast<unsigned char>(at >> 12);
    data[bytes - 1] = 0xee;
    for (size_t at = 0; at + 4096 < bytes; at += 4096) {
      ASSERT_EQ(data[at], static_cast<unsigned char>(at >> 12));
    }
    EXPECT_EQ(data[bytes - 1], 0xee);
    EXPECT_EQ(heap_->Stats().raw_blocks, 1u);
    EXPECT_GE(heap_->Stats().raw_bytes, bytes);
    heap_->Deallocate(data);
  }
}

#if !REEF_IS_CHECKED
struct Giant {
  // Touches nothing in between.
  explicit Giant(Lives& lives) : first(lives) {}  // NOLINT(cppcoreguidelines-pro-type-member-init)
  Life first;
  std::array<char, (size_t{1} << 30) + 5> bytes;
  int last = 77;
};

TEST(GiantTest, ObjectsAndBlocksBeyondAGibibyte) {
  HeapOptions options = test::QuietOptions();
  options.reserve_bytes = uint64_t{16} << 30;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  Lives lives;
  Ref<Giant> giant = heap->Make<Giant>(lives);
  giant->bytes.front() = 1;
  giant->bytes.back() = 2;
  EXPECT_EQ(giant->last, 77);
  EXPECT_GT(SizeOf(giant), size_t{1} << 30);
  auto* raw = static_cast<char*>(heap->Allocate(size_t{3} << 30));
  raw[0] = 3;
  raw[(size_t{3} << 30) - 1] = 4;
  EXPECT_EQ(giant->bytes.back(), 2);
  giant.Reset();
  EXPECT_EQ(lives.now(), 0);
  heap->Deallocate(raw);
  EXPECT_EQ(heap->Stats().live_objects + heap->Stats().raw_blocks, 0u);
  EXPECT_TRUE(heap->Verify().ok()) << heap->Verify();
}
#endif

TEST_F(AllocationTest, FreedBlockIsTheNextOneOfItsType) {
  struct Point {
    double x;
    double y;
    double z;
  };
  struct Traced {
    void Trace(Visitor& v) const { v.Visit(next); }
    Member<Traced> next;
  };
  std::vector<Ref<Point>> points;
  std::vector<Ref<Traced>> traced;
  for (int i = 0; i < 100; ++i) {
    points.push_back(heap_->Make<Point>());
    traced.push_back(heap_->Make<Traced>());
  }
  const Point* last_point = points[40].get();
  const Traced* last_traced = traced[41].get();
  const Point* first_point = points[50].get();
  points[50].Reset();
  points[40].Reset();
  traced[41].Reset();
  EXPECT_EQ(heap_->Make<Traced>().get(), last_traced);
  const Ref<Point> a = heap_->Make<Point>();
  const Ref<Point> b = heap_->Make<Point>();
  EXPECT_EQ(a.get(), last_point);
  EXPECT_EQ(b.get(), first_point);
}

TEST_F(AllocationTest, SteadyStateReusesMemory) {
  struct Chunk {
    char bytes[100];
  };
  for (int i = 0; i < 1000; ++i) (void)heap_->Make<Chunk>();
  const uint64_t committed = heap_->Stats().committed_bytes;
  for (int i = 0; i < 100'000; ++i) (void)heap_->Make<Chunk>();
  EXPECT_EQ(heap_->Stats().committed_bytes, committed);
}

}  // namespace
}  // namespace reef
