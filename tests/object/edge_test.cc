// Edges: what each change counts, and what it logs.
#include "reef/internal/edge.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using internal::Edge;

class EdgeTest : public ObjectTest {
 protected:
  EdgeTest() : holder_(Make<Node>()), edge_(EdgeOf(holder_->next)) {}
  static Edge& EdgeOf(Member<Node>& member) {
    return const_cast<Edge&>(internal::EdgeAccess::Of(member));
  }
  Node* NewNode() { return Make<Node>(&ends_); }

  Node* holder_;
  Edge& edge_;
};

TEST_F(EdgeTest, StoreCountsTheNewTargetAndDropsTheOld) {
  Node* one = NewNode();
  Node* two = NewNode();
  edge_.Store(one);
  EXPECT_EQ(edge_.Get(), one);
  EXPECT_EQ(Counts::Of(one), (Counts{1, 1, 0, 0, 0}));
  edge_.Store(two);
  EXPECT_EQ(Counts::Of(one), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(Counts::Of(two), (Counts{1, 1, 0, 0, 0}));
  edge_.Store(two);
  EXPECT_EQ(Counts::Of(two), (Counts{1, 1, 0, 0, 0})) << "up first, then down";
}

TEST_F(EdgeTest, LastEdgeTakesItsTargetAlong) {
  Node* node = NewNode();
  edge_.Adopt(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
  edge_.Store(nullptr);
  EXPECT_EQ(ends_, 1);
}

TEST_F(EdgeTest, MoveChangesNoCount) {
  Node* node = NewNode();
  edge_.Adopt(node);
  EdgeOf(holder_->other).MoveFrom(edge_);
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(holder_->other.get(), node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
}

TEST_F(EdgeTest, TakeTurnsTheEdgeIntoARoot) {
  Node* node = NewNode();
  edge_.Adopt(node);
  EXPECT_EQ(edge_.Take(), node);
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(edge_.Take(), nullptr);
}

TEST_F(EdgeTest, ClearLeavesTheCount) {
  Node* node = NewNode();
  edge_.Adopt(node);
  EXPECT_EQ(edge_.Clear(), node);
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
}

TEST_F(EdgeTest, ArmedChangesLogTheOldAndTheNewTarget) {
  Node* one = NewNode();
  Node* two = NewNode();
  edge_.Store(one);
  core_.black.store(2);
  const Armed armed(&core_);
  edge_.Store(two);
  EXPECT_EQ(TakeLogged(CurrentSlot()), (std::vector<void*>{one, two}));
  EdgeOf(holder_->other).MoveFrom(edge_);
  EXPECT_EQ(TakeLogged(CurrentSlot()), std::vector<void*>{two});
  DropRoot(EdgeOf(holder_->other).Take());
  EXPECT_EQ(TakeLogged(CurrentSlot()), std::vector<void*>{two});
  Header::Of(one)->SetColour(2);
  edge_.Store(one);
  edge_.Store(nullptr);
  EXPECT_TRUE(TakeLogged(CurrentSlot()).empty()) << "a black target is proven reachable";
}

}  // namespace
}  // namespace reef::object::test
