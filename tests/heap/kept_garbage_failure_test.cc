// Garbage is kept whole or not at all: a collection that finds no memory for the list gives up.

#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

#include "lib/os/fault.h"
#include "reef/reef.h"
#include "tests/heap/fault_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

class KeptGarbageFailureTest : public test::FaultTest {};

// Section 14, Half a list.
TEST_F(KeptGarbageFailureTest, AllIsKeptOrNothing) {
  constexpr uint64_t kCount = 1'000;
  bool given_up = false;
  for (uint64_t k = 0;; ++k) {
    SCOPED_TRACE(k);
    const std::unique_ptr<Heap> heap = test::NewHeap();
    heap->SetDebug({.keep_garbage = true});
    std::vector<Weak<Node>> weak;
    for (uint64_t i = 0; i < kCount; ++i) {
      const Ref<Node> node = heap->Make<Node>(lives_);
      node->next = node;
      weak.emplace_back(node);
    }
    os::ArmFaults(k, kAll);
    const uint64_t kept = heap->Collect().kept;
    const uint64_t passed = os::DisarmFaults();
    EXPECT_TRUE(kept == 0 || kept == kCount) << kept;
    if (kept == 0) {
      EXPECT_GT(heap->Stats().collections_aborted, 0u);
      given_up = true;
    }
    EXPECT_EQ(lives_.now(), static_cast<int64_t>(kCount));
    for (const Weak<Node>& handle : weak) ASSERT_TRUE(handle.Lock());
    EXPECT_TRUE(heap->Verify().ok());
    (void)heap->Collect();
    EXPECT_EQ(heap->TakeGarbage().size(), kCount);
    heap->SetDebug({});
    ExpectNothingLeft(*heap, k);
    if (passed <= k) break;
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_TRUE(given_up);
}

}  // namespace
}  // namespace reef
