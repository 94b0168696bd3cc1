// The end of a Heap: what it does about objects that are still referred to.

#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
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

std::unique_ptr<Heap> NewHeap(HeapEnd end) {
  HeapOptions options = test::QuietOptions();
  options.end = end;
  return test::NewHeap(options);
}

TEST(HeapEndTest, ReportCollectsAndSaysWhatIsLeft) {
  Lives lives;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kReport);
  const Ref<Node> kept = heap->Make<Node>(lives);
  {
    const Ref<Node> ring = heap->Make<Node>(lives);
    ring->next = ring;
  }
  testing::internal::CaptureStderr();
  heap.reset();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("destroyed while 1 of its objects are still referred to"), std::string::npos)
      << said;
  EXPECT_EQ(lives.now(), 1);
}

TEST(HeapEndTest, LeakSaysAndCollectsNothing) {
  Lives lives;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kLeak);
  Ref<Node> kept = heap->Make<Node>(lives);
  {
    const Ref<Node> ring = heap->Make<Node>(lives);
    ring->next = ring;
  }
  testing::internal::CaptureStderr();
  heap.reset();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(lives.now(), 2);
  kept->next = kept;
  kept->next = nullptr;
  kept.Reset();
  EXPECT_EQ(lives.now(), 1) << "counting goes on";
}

// Where the other one would have to wait for itself.
TEST(HeapEndTest, LeakMayHappenAnywhere) {
  Lives lives;
  std::unique_ptr<Heap> heap = NewHeap(HeapEnd::kLeak);
  const Ref<Node> kept = heap->Make<Node>(lives);
  const ReadScope scope;
  heap.reset();
  EXPECT_EQ(lives.now(), 1);
}

TEST(HeapEndTest, OtherValuesAreRefused) {
  HeapOptions options = test::QuietOptions();
  options.end = static_cast<HeapEnd>(9);
  EXPECT_EQ(Heap::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace reef
