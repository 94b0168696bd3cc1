// The sweeper's first passes: what is condemned, and what emptied edges leave behind.
#include "lib/collector/sweeper.h"

#include <atomic>
#include <cstdint>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/object/dying.h"
#include "lib/object/revocation.h"
#include "tests/collector/support.h"
#include "tests/collector/sweeper_support.h"

namespace reef::collector::test {
namespace {

using internal::CountReferences;
using internal::CurrentSlot;
using internal::kDead;
using internal::kMerged;
using internal::SlabOf;
using internal::Stage;

TEST_F(SweeperTest, WhiteLivingObjectsAreCondemned) {
  Node* garbage = MakeGarbage();
  Node* living = Paint(NewNode());
  CollectionReport report;
  report.objects = 5;
  report.bytes = 7;
  ClearedCells cells;
  Condemn(space(), kBlack, &report, &cells, &NoPoll);
  EXPECT_EQ(report.objects, 5u + 2u) << "added to what was there";
  EXPECT_EQ(report.bytes, 7u + 2 * SlabOf(Header::Of(garbage))->block_bytes);
  for (Node* node : {garbage, garbage->next.get()}) {
    EXPECT_EQ(Counts::Of(node).flags, kDead | kMerged);
    EXPECT_EQ(Header::Of(node)->Local(std::memory_order_relaxed), 0u) << "nobody's";
    EXPECT_EQ(StageOf(node), Stage::kLive) << "its Trace is still needed";
  }
  EXPECT_TRUE(SlabOf(Header::Of(garbage))->has_garbage);
  EXPECT_EQ(Counts::Of(living), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(ends_, 0);
}

TEST_F(SweeperTest, NothingElseIsCondemned) {
  // Each without a root, so that only what is said of it here can save it.
  std::vector<Node*> nodes;
  for (int i = 0; i < 5; ++i) {
    nodes.push_back(NewNode());
    AddEdge(nodes.back());
    DropRoot(nodes.back());
  }
  Paint(nodes[0]);
  Header::Of(nodes[1])->SetStage(Stage::kBuilding);
  Header::Of(nodes[2])->SetStage(Stage::kDying);
  Header::Of(nodes[3])->SetStage(Stage::kDestroying);
  (void)Header::Of(nodes[4])->SetFlags(kDead);
  auto* leaf = New<object::test::Number>();
  AddEdge(leaf);
  DropRoot(leaf);
  DropRoot(NewNode());  // a block that is free
  std::vector<Counts> before;
  for (const Node* node : nodes) before.push_back(Counts::Of(node));

  const CollectionReport report = CondemnAll();
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(report.bytes, 0u);
  for (size_t i = 0; i < nodes.size(); ++i) EXPECT_EQ(Counts::Of(nodes[i]), before[i]) << i;
  EXPECT_EQ(Counts::Of(leaf), (Counts{0, 1, 0, 0, 0}));
  EXPECT_FALSE(SlabOf(Header::Of(nodes[0]))->has_garbage);
}

TEST_F(SweeperTest, OtherPassesTouchOnlyWhatWasCondemned) {
  Node* garbage = MakeGarbage();
  Node* target = Paint(NewNode());
  Node* black = Paint(NewNode());
  Node* half = NewNode();
  Node* dying = NewNode();
  Node* destroying = NewNode();
  const std::vector<std::pair<Node*, Stage>> others = {{black, Stage::kLive},
                                                       {half, Stage::kBuilding},
                                                       {dying, Stage::kDying},
                                                       {destroying, Stage::kDestroying}};
  for (const auto& [node, stage] : others) {
    Point(node->next, target);
    Header::Of(node)->SetStage(stage);
  }
  // As they are when their counts are gone, by whatever thread.
  for (Node* node : {dying, destroying}) (void)Header::Of(node)->SetFlags(kDead | kMerged);
  ASSERT_EQ(Sweep().objects, 2u);
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(StageOf(garbage), Stage::kFree);
  for (const auto& [node, stage] : others) {
    EXPECT_EQ(node->next.get(), target);
    EXPECT_EQ(StageOf(node), stage);
    Header::Of(node)->SetStage(Stage::kLive);
  }
  EXPECT_EQ(Counts::Of(target), (Counts{1, 4, 0, 0, 0}));
}

#if REEF_IS_CHECKED
TEST_F(SweeperTest, WhiteRootIsDiagnosed) {
  NewNode();
  EXPECT_DEATH(CondemnAll(), "a root was condemned");
}
#endif

TEST_F(SweeperTest, ClearedEdgeToTheLivingIsCountedDownByOne) {
  Actor other;
  Node* living = Paint(NewNode());
  Node* foreign = nullptr;
  other.Do([&] { foreign = Paint(NewNode()); });
  Node* garbage = MakeGarbage();
  Point(garbage->other, living);
  Point(garbage->next->other, foreign);
  Point(living->next, foreign);
  Point(living->other, living);
  ASSERT_EQ(Counts::Of(living), (Counts{1, 2, 0, 0, 0}));
  ASSERT_EQ(Counts::Of(foreign), (Counts{1, 0, 0, 2, 0}));
  ASSERT_EQ(CondemnAll().objects, 2u);
  Node* second = garbage->next.get();
  Clear();
  EXPECT_EQ(Counts::Of(living), (Counts{1, 1, 0, 0, 0}));
  EXPECT_EQ(Counts::Of(foreign), (Counts{1, 0, 0, 1, 0}));
  EXPECT_EQ(living->next.get(), foreign);
  EXPECT_EQ(living->other.get(), living);
  for (const Node* node : {garbage, second}) {
    EXPECT_EQ(node->next.get(), nullptr);
    EXPECT_EQ(node->other.get(), nullptr);
  }
  EXPECT_EQ(ends_, 0) << "nothing is destroyed yet";
  Free();
  EXPECT_EQ(ends_, 2);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(SweeperTest, TwoClearedEdgesToOneObjectAreTwo) {
  Node* living = Paint(NewNode());
  Node* garbage = MakeGarbage();
  Point(garbage->other, living);
  Point(garbage->next->other, living);
  Point(living->next, living);
  (void)Sweep();
  EXPECT_EQ(Counts::Of(living), (Counts{1, 1, 0, 0, 0}));
}

TEST_F(SweeperTest, ClearedEdgeThatTheOwnerCountedIsQueued) {
  const CollectorHeldUp held_up;  // else it might settle that first
  Actor owner;
  Node* garbage = MakeGarbage();
  Node* living = nullptr;
  owner.Do([&] {
    living = Paint(NewNode());
    Point(garbage->other, living);
  });
  ASSERT_EQ(Counts::Of(living), (Counts{1, 1, 0, 0, 0}));
  (void)Sweep();
  EXPECT_EQ(object::CountPending(), 1u);
  while (object::RevokeAllPending(CurrentSlot())) {
  }
  EXPECT_EQ(StageOf(living), Stage::kLive);
  EXPECT_EQ(CountReferences(Header::Of(living)), 1);
  owner.Do([=] { DropRoot(living); });
  EXPECT_EQ(ends_, 3);
}

TEST_F(SweeperTest, EdgesBetweenGarbageAreNotCounted) {
  Node* garbage = MakeGarbage();
  Node* second = garbage->next.get();
  Point(garbage->other, garbage);
  (void)CondemnAll();
  const Counts before[] = {Counts::Of(garbage), Counts::Of(second)};
  Clear();
  EXPECT_EQ(Counts::Of(garbage), before[0]);
  EXPECT_EQ(Counts::Of(second), before[1]);
  EXPECT_EQ(CurrentSlot()->dying.first(), nullptr);
  Free();
  EXPECT_EQ(ends_, 2);
}

// Reachable when marking began, so black; by now garbage holds the last edge to it.
TEST_F(SweeperTest, WhatDiesByClearingIsDestroyedInTheNextPhase) {
  internal::Slot* slot = CurrentSlot();
  Node* garbage = MakeGarbage();
  Node* child = Paint(NewNode());
  Node* grandchild = Paint(NewNode());
  Point(garbage->other, child);
  Point(child->next, grandchild);
  DropRoot(child);
  DropRoot(grandchild);
  ASSERT_EQ(CondemnAll().objects, 2u);
  Clear();
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(slot->dying.first(), Header::Of(child));
  EXPECT_EQ(StageOf(child), Stage::kDying);
  EXPECT_EQ(StageOf(grandchild), Stage::kLive);
  EXPECT_EQ(child->next.get(), grandchild);
  EXPECT_FALSE(slot->draining);
  Free();
  EXPECT_EQ(ends_, 4);
  EXPECT_EQ(slot->dying.first(), nullptr);
  EXPECT_EQ(UsedBlocks(), 0u);
}

}  // namespace
}  // namespace reef::collector::test
