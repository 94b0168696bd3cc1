// Whole collections, run by hand: what is found, what is kept, what aborts one.
#include "lib/collector/cycle.h"

#include <cstdint>

#include "gtest/gtest.h"

#include "lib/threads/slot_registry.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::g_mode;
using internal::Mode;
using internal::Stage;

class CycleTest : public CollectorTest {};

TEST_F(CycleTest, EmptyHeapHasNothingToCollect) {
  const CollectionReport report = Collect();
  EXPECT_EQ(report.cycles, 1u);
  EXPECT_EQ(report.objects + report.marked + report.roots + report.aborted, 0u);
  EXPECT_EQ(g_mode.load(), Mode::kIdle);
}

TEST_F(CycleTest, UnreachableCycleIsFreed) {
  Node* garbage = MakeGarbage();
  EXPECT_EQ(ends_, 0);
  const CollectionReport report = Collect();
  EXPECT_EQ(report.objects, 2u);
  EXPECT_EQ(report.bytes, 2 * internal::SlabOf(Header::Of(garbage))->block_bytes);
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(StageOf(garbage), Stage::kFree);
  EXPECT_TRUE(Verify(space()).ok());
}

TEST_F(CycleTest, WhatARootReachesIsKept) {
  Node* root = NewNode();
  Node* child = NewNode();
  Point(root->next, child);
  Point(child->next, root);
  DropRoot(child);
  const CollectionReport report = Collect();
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(report.roots, 1u);
  EXPECT_EQ(report.marked, 2u);
  EXPECT_EQ(ends_, 0);
}

TEST_F(CycleTest, GarbageDropsWhatItHeldOfTheLiving) {
  Node* living = NewNode();
  Node* only_child = NewNode();
  Node* garbage = MakeGarbage();
  Point(garbage->other, living);
  Point(garbage->next->other, only_child);
  DropRoot(only_child);
  const CollectionReport report = Collect();
  EXPECT_EQ(report.objects, 3u);
  EXPECT_EQ(ends_, 3);
  EXPECT_EQ(internal::CountReferences(Header::Of(living)), 1);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(CycleTest, ImmortalObjectIsARoot) {
  Node* garbage = MakeGarbage();
  internal::Immortalize(Header::Of(garbage));
  EXPECT_EQ(Collect().objects, 0u);
  EXPECT_EQ(StageOf(garbage), Stage::kLive);
}

TEST_F(CycleTest, StickyObjectIsFreedByCollectionsOnly) {
  Node* garbage = MakeGarbage();
  (void)Header::Of(garbage)->SetFlags(internal::kSticky);
  EXPECT_EQ(Collect().objects, 2u);
  EXPECT_EQ(ends_, 2);
}

TEST_F(CycleTest, ColoursWrapAround) {
  Node* root = NewNode();
  for (int cycle = 0; cycle < 300; ++cycle) {
    if (cycle % 50 == 0) MakeGarbage();
    const CollectionReport report = Collect();
    ASSERT_EQ(report.objects, cycle % 50 == 0 ? 2u : 0u) << cycle;
    ASSERT_EQ(report.marked, 1u);
    ASSERT_EQ(Header::Of(root)->Colour(), core_.black.load());
    ASSERT_LE(core_.black.load(), internal::kMaxColour);
    ASSERT_NE(core_.black.load(), 0);
  }
  EXPECT_EQ(ends_, 12);
  EXPECT_EQ(StageOf(root), Stage::kLive);
}

TEST_F(CycleTest, LostLogAbortsAndCondemnsNothing) {
  MakeGarbage();
  internal::Slot* slot = internal::CurrentSlot();
  slot->log_lost.store(true);
  const CollectionReport report = Collect();
  EXPECT_EQ(report.aborted, 1u);
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(g_mode.load(), Mode::kIdle);
  EXPECT_FALSE(slot->log_lost.load());
  EXPECT_EQ(Collect().objects, 2u) << "the next one finds it";
}

// Loses the log of the thread that traces it: in the middle of marking.
struct LogLoser {
  void Trace(Visitor& /*visitor*/) const {
    if (at_work) internal::CurrentSlot()->log_lost.store(true);
  }
  bool at_work = false;
};

// What one abort has painted is not painted again by those that follow, which end before they mark
// anything, until the numbers have come round: then it would pass for black, and what it leads to
// would never be looked at.
TEST_F(CycleTest, ManyAbortsInARowDoNoHarm) {
  auto* loser = New<LogLoser>();
  Node* root = NewNode();
  Node* child = NewNode();
  Point(root->next, child);
  DropRoot(child);
  ASSERT_EQ(Collect().aborted, 0u);
  loser->at_work = true;
  ASSERT_EQ(Collect().aborted, 1u);
  loser->at_work = false;
  const uint8_t painted = core_.black.load();
  ASSERT_EQ(Header::Of(root)->Colour(), painted);
  ASSERT_EQ(Header::Of(child)->Colour(), painted);

  constexpr int kToComeRound = internal::kMaxColour - 1;
  Node* grandchild = nullptr;
  for (int i = 0; i < kToComeRound; ++i) {
    if (i == kToComeRound / 2) {  // it bears a number of its own time
      grandchild = NewNode();
      Point(child->next, grandchild);
      DropRoot(grandchild);
    }
    internal::CurrentSlot()->log_lost.store(true);
    ASSERT_EQ(Collect().aborted, 1u);
  }
  const CollectionReport report = Collect();
  ASSERT_EQ(core_.black.load(), painted) << "else this test says nothing";
  EXPECT_EQ(report.marked, 4u);
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(StageOf(grandchild), Stage::kLive);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(CycleTest, SeveralMarkersFindTheSame) {
  heap_.options.marker_threads = 3;
  Node* root = NewNode();
  Node* last = root;
  constexpr int kCount = 10'000;
  for (int i = 1; i < kCount; ++i) {
    Node* node = NewNode();
    Point(i % 2 == 0 ? last->next : last->other, node);
    DropRoot(node);
    last = node;
  }
  MakeGarbage();
  const CollectionReport report = Collect();
  EXPECT_GE(report.marked, static_cast<uint64_t>(kCount));
  EXPECT_EQ(report.objects, 2u);
  EXPECT_TRUE(Verify(space()).ok());
}

// Garbage is made, and a chain is cut and tied again, while collections run on another thread.
TEST_F(CycleTest, NothingReachableIsLostWhileTheGraphChanges) {
  Node* root = NewNode();
  Node* child = NewNode();
  Point(root->next, child);
  DropRoot(child);
  Actor collector;
  for (int round = 0; round < 30; ++round) {
    collector.Start([this] { (void)Collect(); });
    for (int step = 0; step < 200; ++step) {
      // From one edge to the other and back: a marker that missed the logs would miss the child.
      AddRoot(child);
      Point(step % 2 == 0 ? root->next : root->other, nullptr);
      Point(step % 2 == 0 ? root->other : root->next, child);
      DropRoot(child);
    }
    collector.Wait();
    ASSERT_EQ(StageOf(child), Stage::kLive);
    ASSERT_EQ(ends_, 0);
  }
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

}  // namespace
}  // namespace reef::collector::test
