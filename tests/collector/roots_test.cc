// The root scan's verdicts, and how the marker treats each stage.
#include "lib/collector/roots.h"

#include <cstdint>

#include "gtest/gtest.h"

#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::Stage;

class RootsTest : public CollectorTest {
 protected:
  static constexpr uint8_t kBlack = 9;

  struct Found {
    uint64_t roots = 0;
    uint64_t marked = 0;
    bool conservative = false;
    bool operator==(const Found&) const = default;
  };
  Found Scan(bool published_too = false) {
    Found found;
    Marker marker(space(), kBlack, 0, &NoPoll);
    found.roots = ScanRoots(space(), kBlack, published_too, &marker, &found.conservative, &NoPoll);
    marker.Run(nullptr);
    found.marked = marker.marked();
    return found;
  }
  // An object without a root: an edge from nowhere keeps it.
  Node* NewEdgeOnly() {
    Node* node = NewNode();
    AddEdge(node);
    DropRoot(node);
    return node;
  }
};

TEST_F(RootsTest, CountedRootsInEitherWord) {
  NewEdgeOnly();
  EXPECT_EQ(Scan(), (Found{0, 0, false}));
  NewNode();
  EXPECT_EQ(Scan(), (Found{1, 1, false}));
  Node* shared = NewEdgeOnly();
  Actor other;
  other.Do([=] { AddRoot(shared); });
  EXPECT_EQ(Scan(), (Found{1, 1, false})) << "the first one is black by now";
}

TEST_F(RootsTest, LocalOfAMergedObjectIsVoid) {
  Node* node = NewEdgeOnly();
  Header* header = Header::Of(node);
  header->SetLocal((internal::kRevoking << internal::kOwnerShift) | internal::kLocalExt);
  EXPECT_EQ(Scan().roots, 1u) << "being revoked: still counted there";
  header->SetColour(1);
  header->SetShared((internal::kSharedInit + internal::kSharedHeap) | internal::kMerged);
  EXPECT_EQ(Scan().roots, 0u);
}

TEST_F(RootsTest, DyingObjectIsARootAndTraced) {
  Node* dying = NewEdgeOnly();
  Node* child = NewEdgeOnly();
  Point(dying->next, child);
  Header::Of(dying)->SetStage(Stage::kDying);
  EXPECT_EQ(Scan(), (Found{1, 2, false}));
  EXPECT_EQ(Header::Of(child)->Colour(), kBlack);
  Header::Of(dying)->SetStage(Stage::kLive);
}

TEST_F(RootsTest, ObjectsUnderConstructionOrDestructionAreScannedWordByWord) {
  for (const Stage stage : {Stage::kBuilding, Stage::kDestroying}) {
    Node* half = NewEdgeOnly();
    Node* child = NewEdgeOnly();
    Node* untouched = NewEdgeOnly();
    // Not where an edge would be: a scan finds any word that names an object.
    auto* kept = half->ends;
    half->ends = reinterpret_cast<std::atomic<int>*>(child);
    Header::Of(half)->SetStage(stage);
    EXPECT_EQ(Scan(), (Found{1, 2, true}));
    EXPECT_EQ(Header::Of(child)->Colour(), kBlack);
    EXPECT_NE(Header::Of(untouched)->Colour(), kBlack);
    half->ends = kept;
    Header::Of(half)->SetStage(Stage::kLive);
  }
}

TEST_F(RootsTest, PublishedObjectsAreRootsOnRequest) {
  Node* node = NewEdgeOnly();
  (void)Header::Of(node)->SetFlags(internal::kPublished);
  EXPECT_EQ(Scan(false), (Found{0, 0, false}));
  EXPECT_EQ(Scan(true), (Found{1, 1, true}));
}

TEST_F(RootsTest, FreeBlocksAndBlackObjectsArePassedOver) {
  DropRoot(NewNode());
  Header::Of(NewNode())->SetColour(kBlack);
  EXPECT_EQ(Scan(), (Found{0, 0, false}));
}

TEST_F(RootsTest, MarkerTakesWhiteObjectsOfItsHeapOnly) {
  threads::test::Region elsewhere;
  Marker marker(space(), kBlack, 0, &NoPoll);
  Node* node = NewEdgeOnly();
  EXPECT_FALSE(marker.PushIfWhite(elsewhere.NewHeader(1)));
  EXPECT_TRUE(marker.PushIfWhite(Header::Of(node)));
  marker.Run(nullptr);
  EXPECT_TRUE(marker.Empty());
  EXPECT_FALSE(marker.PushIfWhite(Header::Of(node)));
  EXPECT_EQ(marker.marked(), 1u);
}

}  // namespace
}  // namespace reef::collector::test
