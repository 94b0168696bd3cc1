// External bytes: what limits them, and what wrong calls get.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kReserved = 64 * kMiB;

struct Tensor {
  explicit Tensor(size_t owned) : bytes(owned) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  ExternalBytes bytes;
  Member<Tensor> next;
};

std::unique_ptr<Heap> SmallHeap(uint64_t max_bytes) {
  HeapOptions options = test::QuietOptions();
  options.reserve_bytes = kReserved;
  options.max_bytes = max_bytes;
  options.respect_cgroup = false;
  return test::NewHeap(options);
}

// The hard limit is theirs, not the region of the objects.
TEST(ExternalTest, MayBeMoreThanWhatIsReserved) {
  const std::unique_ptr<Heap> heap = SmallHeap(1024 * kMiB);
  EXPECT_EQ(heap->Stats().max_bytes, 1024 * kMiB);
  for (int i = 0; i < 40; ++i) {
    const Ref<Tensor> tensor = heap->Make<Tensor>(100 * kMiB);
    tensor->next = tensor;
  }
  EXPECT_GE(heap->Stats().emergencies, 3u);
  EXPECT_LE(heap->Stats().external_bytes, 1024 * kMiB);
  EXPECT_THROW((void)heap->Make<Tensor>(1025 * kMiB), OutOfMemory);
  // The objects have no more than the region.
  EXPECT_EQ(heap->TryAllocate(100 * kMiB), nullptr);
}

TEST(ExternalTest, NoHardLimitIsNoneForThem) {
  const std::unique_ptr<Heap> heap = SmallHeap(0);
  EXPECT_EQ(heap->Stats().max_bytes, kReserved);
  const Ref<Tensor> tensor = heap->Make<Tensor>(uint64_t{1} << 50);
  EXPECT_EQ(heap->Stats().external_bytes, uint64_t{1} << 50);
  const Ref<Tensor> another = heap->Make<Tensor>(size_t{1});
  EXPECT_EQ(heap->Stats().emergencies, 0u);
}

class ExternalMisuseTest : public ::testing::Test {
 protected:
  uint64_t External() const { return heap_->Stats().external_bytes; }
  std::unique_ptr<Heap> heap_ = SmallHeap(0);
};

TEST_F(ExternalMisuseTest, MoreGivenBackThanAdded) {
  heap_->AddExternalBytes(100);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::min();
  if (REEF_IS_CHECKED) {
    EXPECT_DEATH(heap_->AddExternalBytes(-101), "reef: more external bytes were taken");
    EXPECT_DEATH((void)heap_->TryAddExternalBytes(kMost), "more external bytes were taken");
  } else {
    heap_->AddExternalBytes(-101);
    heap_->AddExternalBytes(kMost);
    EXPECT_EQ(heap_->TryAddExternalBytes(-101).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(heap_->TryAddExternalBytes(kMost).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(External(), 100u);
  EXPECT_TRUE(heap_->TryAddExternalBytes(-100).ok());
  EXPECT_TRUE(heap_->TryAddExternalBytes(0).ok());
  EXPECT_EQ(External(), 0u);
}

TEST_F(ExternalMisuseTest, OutsideAManagedObject) {
  if (REEF_IS_CHECKED) {
    EXPECT_DEATH(ExternalBytes(100), "reef: an ExternalBytes outside a managed object");
    return;
  }
  ExternalBytes bytes(100);
  bytes.Resize(200);
  EXPECT_EQ(bytes.bytes(), 200u);
  EXPECT_EQ(External(), 0u);
}

TEST_F(ExternalMisuseTest, NothingMayStandAnywhere) {
  ExternalBytes bytes;
  bytes.Resize(0);
  EXPECT_EQ(bytes.bytes(), 0u);
}

TEST_F(ExternalMisuseTest, RawBytesOfLengthZero) {
  void* one = heap_->Allocate(0);
  void* two = heap_->TryAllocate(0, 64);
  EXPECT_NE(one, nullptr);
  EXPECT_NE(two, nullptr);
  EXPECT_NE(one, two);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(two) % 64, 0u);
  EXPECT_EQ(heap_->Stats().raw_blocks, 2u);
  heap_->Deallocate(one);
  heap_->Deallocate(two);
  EXPECT_EQ(heap_->Stats().raw_blocks, 0u);
}

}  // namespace
}  // namespace reef
