// The questions of the checked builds about places: who is told what.
#include <cstdint>
#include <cstring>
#include <string>

#include "gtest/gtest.h"

#include "reef/internal/edge.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using internal::CheckEdgePlace;
using internal::CheckEdgeTarget;
using internal::CheckRootPlace;

class PlaceCheckTest : public ObjectTest {};
using PlaceCheckDeathTest = PlaceCheckTest;

TEST_F(PlaceCheckTest, EdgeInATracedObjectIsRight) {
  Node* node = Make<Node>();
  CheckEdgePlace(&node->next);
  CheckEdgeTarget(&node->next, Make<Node>());
  DropRoot(node);
  EXPECT_EQ(StageOf(node), Stage::kFree);
}

TEST_F(PlaceCheckDeathTest, EdgeOutsideAHeapIsDiagnosed) {
  const Member<Node> member;
  EXPECT_DEATH(CheckEdgePlace(&member), "outside a managed object");
}

TEST_F(PlaceCheckDeathTest, EdgeInALeafIsDiagnosed) {
  const Number* number = Make<Number>();
  EXPECT_DEATH(CheckEdgePlace(&number->value), "no Trace");
}

TEST_F(PlaceCheckDeathTest, EdgeInRawBytesIsDiagnosed) {
  const void* raw = memory::Refill(CurrentSlot(), space_.get(), SlabKind::kRaw, 10);
  EXPECT_DEATH(CheckEdgePlace(raw), "in raw bytes");
}

TEST_F(PlaceCheckDeathTest, EdgeAcrossHeapsIsDiagnosed) {
  const Node* node = Make<Node>();
  const threads::test::Region region;
  const Number elsewhere;
  EXPECT_DEATH(CheckEdgeTarget(&node->next, &elsewhere), "an edge across heaps");
}

TEST_F(PlaceCheckTest, RootInsideAnObjectIsReportedOnce) {
  const Node* node = Make<Node>();
  const int outside = 0;
  testing::internal::CaptureStderr();
  CheckRootPlace(&outside);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  CheckRootPlace(&node->next);
  CheckRootPlace(&node->next);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("a reef::Ref inside a managed object"), std::string::npos);
  EXPECT_EQ(text.find("warning"), text.rfind("warning"));
}

TEST_F(PlaceCheckDeathTest, RefToWhatIsNotAnObjectIsDiagnosed) {
  alignas(16) static char bytes[64] = {};
  EXPECT_DEATH(internal::CheckManaged(bytes + 32), "not a managed object");
  // Bytes that look like a living object's header, in a raw block and in an object's payload.
  struct Lookalike {
    uint64_t words[6];
  };
  Lookalike* leaf = Make<Lookalike>();
  void* raw = memory::Refill(CurrentSlot(), space_.get(), SlabKind::kRaw, 10);
  for (auto* words : {static_cast<uint64_t*>(raw), leaf->words}) {
    std::memcpy(words + 2, Header::Of(leaf), Header::kBytes);
    EXPECT_DEATH(internal::CheckManaged(words + 4), "a part of an object");
    EXPECT_DEATH(internal::CheckManagedOrDying(words + 4), "a part of an object");
  }
  internal::CheckManaged(leaf);
  internal::CheckManagedOrDying(leaf);
  Node* node = Make<Node>();
  internal::CheckManaged(node);
  Header::Of(node)->SetStage(Stage::kDestroying);
  EXPECT_DEATH(internal::CheckManaged(node), "constructed or destroyed");
  Header::Of(node)->SetStage(Stage::kLive);
}

}  // namespace
}  // namespace reef::object::test
