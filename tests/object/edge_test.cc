// Edges: what each change counts, and what it logs.
#include "reef/internal/edge.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using internal::Edge;
using internal::kHomeSample;

class EdgeTest : public ObjectTest {
 protected:
  EdgeTest() : holder_(Make<Node>()), edge_(EdgeOf(holder_->next)) {}
  static Edge& EdgeOf(Member<Node>& member) {
    return const_cast<Edge&>(internal::EdgeAccess::Of(member));
  }
  Node* NewNode() { return Make<Node>(&ends_); }
  // A colour that no object has been born with is black, so that all of them are white.
  void MakeAllWhite() { core_.black.store(2); }
  static uint64_t Suspects() { return CurrentSlot()->suspects.load(); }

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

// --- the common cases, which have code of their own, and when they leave it to the general one ---

TEST_F(EdgeTest, AdoptionOfAnOnlyRootCountsOneSuspect) {
  Node* node = NewNode();
  const uint64_t before = Suspects();
  edge_.Adopt(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(Suspects(), before + 1);
  EXPECT_TRUE(TakeLogged(CurrentSlot()).empty());
  EXPECT_EQ(CurrentSlot()->busy.load(), nullptr);
  EXPECT_EQ(CurrentSlot()->seq.load() % 2, 0u);
}

TEST_F(EdgeTest, AdoptionOfOneRootAmongOthersLeavesTheOthers) {
  Node* twice = NewNode();
  AddRoot(twice);
  const uint64_t before = Suspects();
  edge_.Adopt(twice);
  EXPECT_EQ(Counts::Of(twice), (Counts{1, 1, 0, 0, 0}));
  EXPECT_EQ(Suspects(), before) << "a root remains";
  Node* with_edge = NewNode();
  EdgeOf(holder_->other).Store(with_edge);
  edge_.Adopt(with_edge);
  EXPECT_EQ(Counts::Of(with_edge), (Counts{0, 2, 0, 0, 0}));
  EXPECT_EQ(Counts::Of(twice), (Counts{1, 0, 0, 0, 0})) << "dropped by the second adoption";
}

TEST_F(EdgeTest, AdoptionOverATargetDropsIt) {
  Node* one = NewNode();
  Node* two = NewNode();
  edge_.Adopt(one);
  edge_.Adopt(two);
  EXPECT_EQ(edge_.Get(), two);
  EXPECT_EQ(Counts::Of(two), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(ends_, 1);
  edge_.Adopt(nullptr);
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(ends_, 2);
}

TEST_F(EdgeTest, AnotherThreadsObjectIsAdoptedInTheSharedWord) {
  Actor other;
  Node* node = nullptr;
  other.Do([&] {
    node = NewNode();
    internal::ShareUnique(Header::Of(node));
  });
  edge_.Adopt(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 0, 1, internal::kMerged}));
  edge_.Reset();
  EXPECT_EQ(ends_, 1);
}

TEST_F(EdgeTest, ThreadsFirstActMayBeAnAdoptionOrADrop) {
  Node* node = NewNode();
  internal::ShareUnique(Header::Of(node));
  std::thread([&] {
    ASSERT_EQ(internal::tls_slot, &internal::g_null_slot);
    edge_.Adopt(node);
    EXPECT_NE(internal::tls_slot, &internal::g_null_slot);
  }).join();
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 0, 1, internal::kMerged}));
  std::thread([&] {
    ASSERT_EQ(internal::tls_slot, &internal::g_null_slot);
    edge_.Reset();
  }).join();
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(ends_, 1);
}

TEST_F(EdgeTest, PrivateTargetDiesInTheBracketThatEmptiesTheEdge) {
  Slot* slot = CurrentSlot();
  Node* node = NewNode();
  edge_.Adopt(node);
  slot->unsampled = kHomeSample;
  slot->draining = true;
  edge_.Reset();
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(StageOf(node), Stage::kDestroying);
  EXPECT_EQ(OwnerOf(node), internal::kNobody);
  EXPECT_EQ(Counts::Of(node).flags, internal::kMerged | internal::kDead);
  EXPECT_EQ(slot->dying.first(), Header::Of(node));
  EXPECT_EQ(ends_, 0);
  slot->draining = false;
  Drain(slot);
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(node), Stage::kFree);
}

TEST_F(EdgeTest, OneOfTwoEdgesLeavesTheTargetAlive) {
  Node* node = NewNode();
  edge_.Store(node);
  EdgeOf(holder_->other).Adopt(node);
  edge_.Reset();
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(ends_, 0);
}

TEST_F(EdgeTest, ArmedAdoptionLogsItsTarget) {
  Node* one = NewNode();
  Node* two = NewNode();
  MakeAllWhite();
  const Armed armed(&core_);
  const uint64_t before = Suspects();
  edge_.Adopt(one);
  EXPECT_EQ(TakeLogged(CurrentSlot()), std::vector<void*>{one});
  EXPECT_EQ(Counts::Of(one), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(Suspects(), before + 1);
  edge_.Adopt(two);
  EXPECT_EQ(TakeLogged(CurrentSlot()), (std::vector<void*>{one, two}));
  EXPECT_EQ(edge_.Get(), two);
  EXPECT_EQ(ends_, 1);
}

TEST_F(EdgeTest, ArmedDropLogsItsTargetWhichIsDyingFirst) {
  Slot* slot = CurrentSlot();
  Node* node = NewNode();
  edge_.Adopt(node);
  MakeAllWhite();
  const Armed armed(&core_);
  slot->unsampled = kHomeSample;
  slot->draining = true;
  edge_.Reset();
  EXPECT_EQ(TakeLogged(slot), std::vector<void*>{node});
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(StageOf(node), Stage::kDying);
  EXPECT_EQ(slot->dying.first(), Header::Of(node));
  EXPECT_EQ(ends_, 0);
  slot->draining = false;
  Drain(slot);
  EXPECT_EQ(ends_, 1);
}

TEST_F(EdgeTest, ArmedModesLogAlike) {
  for (const Mode mode : {Mode::kLogging, Mode::kMarking}) {
    Node* node = NewNode();
    MakeAllWhite();
    const Armed armed(&core_, mode);
    edge_.Adopt(node);
    edge_.Reset();
    EXPECT_EQ(TakeLogged(CurrentSlot()), (std::vector<void*>{node, node}));
  }
  EXPECT_EQ(ends_, 2);
}

TEST_F(EdgeTest, WithoutMembarrierTheGeneralCaseCountsTheSame) {
  Slot* slot = CurrentSlot();
  Node* node = NewNode();
  MakeAllWhite();
  const Armed idle(&core_, Mode::kIdleFenced);
  edge_.Adopt(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
  slot->unsampled = kHomeSample;
  slot->draining = true;
  edge_.Reset();
  EXPECT_EQ(edge_.Get(), nullptr);
  EXPECT_EQ(StageOf(node), Stage::kDying) << "not by the case for an idle system";
  slot->draining = false;
  Drain(slot);
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(TakeLogged(slot).empty()) << "no collection is armed";
}

}  // namespace
}  // namespace reef::object::test
