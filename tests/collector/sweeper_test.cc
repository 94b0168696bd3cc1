// The sweeper, pass by pass: what is condemned, what emptied edges leave behind, what goes back.
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

namespace reef::collector::test {
namespace {

using internal::CountReferences;
using internal::CurrentSlot;
using internal::kDead;
using internal::kMerged;
using internal::SlabKind;
using internal::SlabOf;
using internal::Stage;

// Looks around when its destructor runs.
struct Witness {
  explicit Witness(std::atomic<int>* my_ends) : ends(my_ends) {}
  ~Witness() {
    ends->fetch_add(1);
    if (next.get() == nullptr && other.get() == nullptr) ++saw_null;
    if (StageOf(this) == Stage::kDestroying) ++saw_destroying;
    if (Counts::Of(this).flags == (kDead | kMerged)) ++saw_dead;
    DropRoot(this);  // of a dead object: must do nothing
  }
  void Trace(Visitor& visitor) const { visitor.Visit(next, other); }
  Member<Witness> next;
  Member<Node> other;
  std::atomic<int>* ends;
  static inline int saw_null = 0;
  static inline int saw_destroying = 0;
  static inline int saw_dead = 0;
};

// Too large for a slab's blocks.
struct Large {
  explicit Large(std::atomic<int>* my_ends) : ends(my_ends) {}
  ~Large() { ends->fetch_add(1); }
  void Trace(Visitor& visitor) const { visitor.Visit(next); }
  Member<Large> next;
  std::atomic<int>* ends;
  char bytes[100'000];
};

int g_polls = 0;
void CountPoll() { ++g_polls; }

// Objects are born white here; whoever is to live is painted.
class SweeperTest : public CollectorTest {
 protected:
  static constexpr uint8_t kBlack = 2;

  template <typename T>
  static T* Paint(T* payload) {
    Header::Of(payload)->SetColour(kBlack);
    return payload;
  }
  CollectionReport CondemnAll() {
    CollectionReport report;
    ClearedCells cells;
    Condemn(space(), kBlack, &report, &cells, &NoPoll);
    return report;
  }
  void Clear() { ClearGarbage(space(), kBlack, CurrentSlot(), &NoPoll); }
  void Free() {
    g_polls = 0;
    FreeGarbage(space(), kBlack, CurrentSlot(), &CountPoll);
  }
  // All three, as a collection does it.
  CollectionReport Sweep() {
    const CollectionReport report = CondemnAll();
    Clear();
    Free();
    return report;
  }
  uint64_t UsedBlocks() const {
    uint64_t used = 0;
    space().ForEachSlab([&used](const Slab& slab) { used += Space::UsedBlocks(slab); });
    return used;
  }
  Witness* MakeWitnesses(int count) {
    Witness* first = New<Witness>(&ends_);
    Witness* last = first;
    for (int i = 1; i < count; ++i) {
      Witness* witness = New<Witness>(&ends_);
      Point(last->next, witness);
      DropRoot(witness);
      last = witness;
    }
    Point(last->next, first);
    DropRoot(first);
    return first;
  }
  Large* NewLarge() {
    void* block = heap_.space->AllocateRun(SlabKind::kTraced, sizeof(Large), alignof(Large));
    EXPECT_NE(block, nullptr);
    auto* header = static_cast<Header*>(block);
    internal::BearHeader(CurrentSlot(), &core_, header, &internal::TypeOf<Large>::info, true);
    Large* large = ::new (header->Payload()) Large(&ends_);
    header->SetStage(Stage::kLive);
    return large;
  }
  // Two of them, each with slabs of its own.
  Large* MakeLargeGarbage() {
    Large* one = NewLarge();
    Large* two = NewLarge();
    Point(one->next, two);
    Point(two->next, one);
    DropRoot(one);
    DropRoot(two);
    return one;
  }
};

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

TEST_F(SweeperTest, DestructorsRunOnceAndSeeNoOtherObject) {
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

TEST_F(SweeperTest, FreedBlocksAreUsedAgain) {
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

TEST_F(SweeperTest, BlocksOfAnotherThreadsSlabGoBackToThatSlab) {
  Actor other;
  Witness* witness = nullptr;
  other.Do([&] { witness = MakeWitnesses(5); });
  const Slab* slab = SlabOf(Header::Of(witness));
  EXPECT_EQ(Sweep().objects, 5u);
  EXPECT_EQ(ends_, 5);
  EXPECT_EQ(internal::RemoteCount(slab->remote.load()), 5u);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(SweeperTest, FullSlabsComeBackWithAllTheirBlocks) {
  constexpr int kCount = 5'000;  // several slabs of them
  const Witness* witness = MakeWitnesses(kCount);
  const Slab* slab = SlabOf(Header::Of(witness));
  ASSERT_LT(slab->capacity, static_cast<uint32_t>(kCount) / 2);
  EXPECT_EQ(Sweep().objects, static_cast<uint64_t>(kCount));
  EXPECT_EQ(ends_, kCount);
  EXPECT_EQ(UsedBlocks(), 0u);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(SweeperTest, PollIsCalledForEachSlabWithGarbage) {
  Paint(New<Fan>());  // a slab without any
  MakeGarbage();
  MakeLargeGarbage();
  (void)Sweep();
  EXPECT_EQ(ends_, 4);
  EXPECT_EQ(g_polls, 3);
  space().ForEachSlab([](const Slab& slab) { EXPECT_FALSE(slab.has_garbage); });
}

TEST_F(SweeperTest, LargeObjectsRunGoesBack) {
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

TEST_F(SweeperTest, OtherWorkIsDoneBetweenSlabsAndDoesNotDisturb) {
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
