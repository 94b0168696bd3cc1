// The collector thread: heaps that come and go, collections on request, and housekeeping.
#include "lib/collector/collector.h"

#include <atomic>
#include <memory>

#include "gtest/gtest.h"

#include "lib/memory/heap_table.h"
#include "lib/memory/thread_cache.h"
#include "tests/object/support.h"

namespace reef::collector {
namespace {

using object::test::Node;

constexpr int kClass = internal::ClassFor(internal::SlabKind::kTraced, sizeof(Node), alignof(Node));

class OpenHeapTest : public testing::Test {
 protected:
  OpenHeapTest() {
    EXPECT_NE(memory::EnterHeap(&core_), 0u);
    heap_ = OpenHeap(&core_, {.reserve_bytes = uint64_t{64} << 20}, {.automatic = false});
    EXPECT_NE(heap_, nullptr);
  }
  ~OpenHeapTest() override { EXPECT_EQ(CloseHeap(heap_.get()), 0u); }

  Node* NewNode() {
    internal::Slot* slot = internal::CurrentSlot();
    auto* header = static_cast<Header*>(
        memory::Refill(slot, heap_->space.get(), internal::SlabKind::kTraced, kClass));
    internal::UnpoisonBlock(header);
    internal::BearHeader(slot, &core_, header, &internal::TypeOf<Node>::info, true);
    Node* node = ::new (header->Payload()) Node(&ends_);
    header->SetStage(internal::Stage::kLive);
    return node;
  }

  HeapCore core_;
  std::unique_ptr<CollectedHeap> heap_;
  std::atomic<int> ends_{0};
};

TEST_F(OpenHeapTest, CollectionOnRequestFreesACycle) {
  Node* node = NewNode();
  const_cast<internal::Edge&>(internal::EdgeAccess::Of(node->next)).Store(node);
  internal::DropExt(Header::Of(node));
  EXPECT_EQ(ends_, 0);
  const CollectionReport report = Collect(heap_.get());
  EXPECT_EQ(report.objects, 1u);
  EXPECT_GE(report.cycles, 1u);
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(IsCollecting(heap_.get()));
  HeapStats stats;
  FillStats(heap_.get(), &stats);
  EXPECT_EQ(stats.garbage_objects, 1u);
  EXPECT_GE(stats.collections, report.cycles);
}

TEST_F(OpenHeapTest, EmergencyReturnsTheMemoryOfRunsThatWereFreed) {
  void* run = heap_->space->AllocateRun(internal::SlabKind::kRaw, 300'000, 8);
  heap_->space->FreeRun(internal::CurrentSlot(), internal::SlabOf(run));
  EXPECT_NE(heap_->space->committed_bytes(), 0u);
  EXPECT_TRUE(CollectAtEnd(heap_.get()));
  EXPECT_EQ(heap_->space->committed_bytes(), 0u);
}

TEST_F(OpenHeapTest, HeapWithLivingObjectsStaysOpen) {
  Node* node = NewNode();
  EXPECT_EQ(CloseHeap(heap_.get()), 1u);
  EXPECT_EQ(ends_, 0);
  internal::DropExt(Header::Of(node));
  EXPECT_EQ(ends_, 1);
}

TEST_F(OpenHeapTest, CollectIsRefusedWhereItWouldWaitForItself) {
  internal::Slot* slot = internal::CurrentSlot();
  EXPECT_EQ(WhyNotCollect(), nullptr);
  slot->scope_depth = 1;
  EXPECT_NE(WhyNotCollect(), nullptr);
  slot->scope_depth = 0;
  slot->user_code = 1;
  EXPECT_NE(WhyNotCollect(), nullptr);
  slot->user_code = 0;
  slot->draining = true;
  EXPECT_NE(WhyNotCollect(), nullptr);
  slot->draining = false;
  EXPECT_EQ(WhyNotCollect(), nullptr);
}

}  // namespace
}  // namespace reef::collector
