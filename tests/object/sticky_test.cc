// Objects that are counted no more: immortal ones, and those whose field of the shared word is
// full.
#include <cstdint>
#include <string>

#include "gtest/gtest.h"

#include "reef/internal/count.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this file is about headers

class StickyTest : public ObjectTest {
 protected:
  void SetShared(void* payload, uint64_t word) { Header::Of(payload)->SetShared(word); }
  Node* NewNode() { return Make<Node>(&ends_); }

  Actor other_;
};

TEST_F(StickyTest, ImmortalObjectIsNeitherCountedByOthersNorFreed) {
  Node* node = NewNode();
  AddEdge(node);
  Immortalize(Header::Of(node));
  other_.Do([=] {
    AddRoot(node);
    AddEdge(node);
    for (int i = 0; i < 5; ++i) {
      DropRoot(node);
      DropEdge(node);
    }
    RootToEdge(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 1, 0, 0, kImmortal}));
  DropRoot(node);
  DropEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 0, 0, kImmortal | kMerged}));
  EXPECT_EQ(StageOf(node), Stage::kLive);
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
}

TEST_F(StickyTest, FullSharedRootsStayAndTurnTheObjectSticky) {
  Node* node = NewNode();
  const uint64_t full = (kSharedInit & ~kSharedExtMask) | kExtFull;
  SetShared(node, full - kSharedExt);
  other_.Do([=] { AddRoot(node); });
  EXPECT_EQ(Header::Of(node)->Shared(std::memory_order_relaxed), full) << "counted, and now full";
  testing::internal::CaptureStderr();
  other_.Do([=] {
    AddRoot(node);
    AddRoot(node);
  });
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("more references than can be counted"), std::string::npos);
  EXPECT_EQ(text.find("counted"), text.rfind("counted")) << "said once";
  other_.Do([=] {
    for (int i = 0; i < 10; ++i) DropRoot(node);
  });
  EXPECT_EQ(Header::Of(node)->Shared(std::memory_order_relaxed), full | kSticky);
  DropRoot(node);
  EXPECT_EQ(StageOf(node), Stage::kLive);
  EXPECT_EQ(ends_, 0);
}

TEST_F(StickyTest, FullSharedEdgesStay) {
  Node* node = NewNode();
  const uint64_t full = (kSharedInit & ~kSharedHeapMask) | kHeapFull;
  SetShared(node, full | kMerged);
  testing::internal::CaptureStderr();
  other_.Do([=] {
    AddEdge(node);
    DropEdge(node);
    DropEdge(node);
  });
  (void)testing::internal::GetCapturedStderr();
  EXPECT_EQ(Header::Of(node)->Shared(std::memory_order_relaxed), full | kMerged | kSticky);
}

TEST_F(StickyTest, SpillIntoAFullFieldLeavesIt) {
  Node* node = NewNode();
  const uint64_t full = (kSharedInit & ~kSharedExtMask) | kExtFull;
  SetShared(node, full);
  testing::internal::CaptureStderr();
  for (int i = 1; i < 512; ++i) AddRoot(node);
  other_.Do([=] { AddRoot(node); });
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("more references than can be counted\n  object: "), std::string::npos);
  EXPECT_NE(text.find("Node at 0x"), std::string::npos) << text;
  EXPECT_EQ(text.find("warning"), text.rfind("warning")) << "said once, whoever meets it";
  EXPECT_EQ(Header::Of(node)->Shared(std::memory_order_relaxed), full | kSticky);
  EXPECT_EQ(Counts::Of(node).ext, 256);
}

}  // namespace
}  // namespace reef::object::test
