// The sweeper's last pass: destructors run, blocks and runs go back, other work is done in between.
#include <atomic>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/collector/sweeper.h"
#include "lib/object/dying.h"
#include "lib/object/revocation.h"
#include "tests/collector/support.h"
#include "tests/collector/sweeper_support.h"

namespace reef::collector::test {
namespace {

using internal::CurrentSlot;
using internal::SlabOf;
using internal::Stage;

using SweeperFreeTest = SweeperTest;

TEST_F(SweeperFreeTest, DestructorsRunOnceAndSeeNoOtherObject) {
  constexpr int kCount = 100;
  Witness* witness = MakeWitnesses(kCount);
  Node* living = Paint(NewNode());
  Point(witness->other, living);
  Point(witness->next->other, living);
  Witness::saw_null = Witness::saw_destroying = Witness::saw_dead = 0;
  EXPECT_EQ(Sweep().objects, static_cast<uint64_t>(kCount));
  EXPECT_EQ(ends_, kCount);
  EXPECT_EQ(Witness::saw_null, kCount);
  EXPECT_EQ(Witness::saw_destroying, kCount);
  EXPECT_EQ(Witness::saw_dead, kCount);
  EXPECT_EQ(Counts::Of(living), (Counts{1, 0, 0, 0, 0}));
  // A second round finds nothing left to do.
  EXPECT_EQ(Sweep().objects, 0u);
  EXPECT_EQ(g_polls, 0);
  EXPECT_EQ(ends_, kCount);
}

TEST_F(SweeperFreeTest, FreedBlocksAreUsedAgain) {
  Node* living = Paint(NewNode());
  Node* garbage = MakeGarbage();
  const std::set<Node*> blocks{garbage, garbage->next.get()};
  ASSERT_EQ(UsedBlocks(), 3u);
  (void)Sweep();
  EXPECT_EQ(UsedBlocks(), 1u);
  for (const Node* node : blocks) EXPECT_EQ(StageOf(node), Stage::kFree);
  EXPECT_EQ((std::set<Node*>{NewNode(), NewNode()}), blocks);
  EXPECT_EQ(StageOf(living), Stage::kLive);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(SweeperFreeTest, BlocksOfAnotherThreadsSlabGoBackToThatSlab) {
  Actor other;
  Witness* witness = nullptr;
  other.Do([&] { witness = MakeWitnesses(5); });
  const Slab* slab = SlabOf(Header::Of(witness));
  EXPECT_EQ(Sweep().objects, 5u);
  EXPECT_EQ(ends_, 5);
  EXPECT_EQ(internal::RemoteCount(slab->remote.load()), 5u);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(SweeperFreeTest, FullSlabsComeBackWithAllTheirBlocks) {
  constexpr int kCount = 5'000;  // several slabs of them
  const Witness* witness = MakeWitnesses(kCount);
  const Slab* slab = SlabOf(Header::Of(witness));
  ASSERT_LT(slab->capacity, static_cast<uint32_t>(kCount) / 2);
  EXPECT_EQ(Sweep().objects, static_cast<uint64_t>(kCount));
  EXPECT_EQ(ends_, kCount);
  EXPECT_EQ(UsedBlocks(), 0u);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(SweeperFreeTest, PollIsCalledForEachSlabWithGarbage) {
  Paint(New<Fan>());  // a slab without any
  MakeGarbage();
  MakeLargeGarbage();
  (void)Sweep();
  EXPECT_EQ(ends_, 4);
  EXPECT_EQ(g_polls, 3);
  space().ForEachSlab([](const Slab& slab) { EXPECT_FALSE(slab.has_garbage); });
}

TEST_F(SweeperFreeTest, LargeObjectsRunGoesBack) {
  Large* one = MakeLargeGarbage();
  Large* two = one->next.get();
  const Slab* slab = SlabOf(Header::Of(one));
  ASSERT_NE(slab->run_slabs, 0u);
  ASSERT_EQ(UsedBlocks(), 2u);
  const uint64_t bytes = 2 * slab->block_bytes;
  EXPECT_EQ(Sweep().bytes, bytes);
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(StageOf(one), Stage::kFree);
  EXPECT_EQ(StageOf(two), Stage::kFree);
  EXPECT_EQ(UsedBlocks(), 0u);
  EXPECT_EQ((std::set<Large*>{NewLarge(), NewLarge()}), (std::set<Large*>{one, two}));
}

// What a poll may do at worst: everything that is due on this thread, here and now.
int g_drains = 0;
Witness* g_dropped = nullptr;
void DrainInPoll() {
  ++g_drains;
  // A drop that had waited until now.
  if (g_dropped != nullptr) DropRoot(std::exchange(g_dropped, nullptr));
  object::Drain(CurrentSlot());
}

TEST_F(SweeperFreeTest, OtherWorkIsDoneBetweenSlabsAndDoesNotDisturb) {
  constexpr int kCount = 5'000;
  for (int i = 0; i < kCount; ++i) {
    Node* garbage = MakeGarbage();
    // Dies by clearing, and owns another one.
    Node* living = Paint(NewNode());
    Node* below = Paint(NewNode());
    Point(living->next, below);
    DropRoot(below);
    Point(garbage->other, living);
    DropRoot(living);
  }
  g_dropped = Paint(New<Witness>(&ends_));
  g_drains = 0;
  CollectionReport report;
  ClearedCells cells;
  Condemn(space(), kBlack, &report, &cells, &DrainInPoll);
  EXPECT_EQ(report.objects, 2u * kCount);
  EXPECT_EQ(ends_, 1) << "the drop did not wait for the sweep";
  const int condemn_drains = g_drains;
  EXPECT_GT(condemn_drains, 5);
  ClearGarbage(space(), kBlack, CurrentSlot(), &DrainInPoll);
  EXPECT_GT(g_drains, condemn_drains + 5);
  EXPECT_FALSE(CurrentSlot()->draining);
  Free();
  EXPECT_EQ(ends_, 1 + 4 * kCount);
  EXPECT_EQ(UsedBlocks(), 0u);
}

}  // namespace
}  // namespace reef::collector::test
