// Frozen objects: what collections do with them, and what they leave alone.
#include "lib/collector/freeze.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

#include "lib/collector/sweeper.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::kFrozenColour;

class FreezeTest : public CollectorTest {
 protected:
  static uint8_t ColourOf(void* payload) { return Header::Of(payload)->Colour(); }
};

TEST_F(FreezeTest, EveryLivingTracedObjectIsCountedOnce) {
  Node* one = NewNode();
  NewNode();
  NewNode();
  New<object::test::Number>();
  EXPECT_EQ(CountFrozen(space()), 0u);
  EXPECT_EQ(FreezeAll(space()), 3u);
  EXPECT_EQ(FreezeAll(space()), 3u);
  EXPECT_EQ(CountFrozen(space()), 3u);
  NewNode();
  EXPECT_EQ(CountFrozen(space()), 3u) << "what is made later is not frozen";
  DropRoot(one);
  EXPECT_EQ(ends_, 1) << "a frozen object still dies with its last reference";
  EXPECT_EQ(CountFrozen(space()), 2u);
  EXPECT_EQ(UnfreezeAll(space()), 2u);
  EXPECT_EQ(CountFrozen(space()), 0u);
  EXPECT_EQ(UnfreezeAll(space()), 0u);
}

TEST_F(FreezeTest, BlockOfADeadFrozenObjectIsBornUnfrozen) {
  Node* node = NewNode();
  (void)FreezeAll(space());
  DropRoot(node);
  EXPECT_EQ(NewNode(), node) << "the same block again";
  EXPECT_NE(ColourOf(node), kFrozenColour);
}

TEST_F(FreezeTest, FrozenGarbageIsSparedUntilItIsUnfrozen) {
  MakeGarbage();
  (void)FreezeAll(space());
  MakeGarbage();
  EXPECT_EQ(Collect().objects, 2u) << "only what came later";
  EXPECT_EQ(Collect().objects, 0u);
  EXPECT_EQ(ends_, 2);
  (void)UnfreezeAll(space());
  EXPECT_EQ(Collect().objects, 2u);
  EXPECT_EQ(ends_, 4);
}

TEST_F(FreezeTest, HeadersAreNotWrittenByCollections) {
  std::vector<Node*> nodes;
  for (int i = 0; i < 100; ++i) {
    nodes.push_back(NewNode());
    if (i != 0) Point(nodes[static_cast<size_t>(i)]->next, nodes[static_cast<size_t>(i) - 1]);
  }
  (void)FreezeAll(space());
  using Bytes = std::array<unsigned char, Header::kBytes>;
  const auto snapshot = [&nodes] {
    std::vector<Bytes> headers(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      std::memcpy(headers[i].data(), Header::Of(nodes[i]), Header::kBytes);
    }
    return headers;
  };
  const std::vector<Bytes> before = snapshot();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Collect().objects, 0u);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(FreezeTest, WhatAFrozenObjectRefersToStays) {
  Node* holder = NewNode();
  (void)FreezeAll(space());
  DropRoot(holder);  // dies
  // Reachable from nothing but frozen garbage: a ring, one of which gets an edge to a newer object.
  Node* one = MakeGarbage();
  (void)FreezeAll(space());
  Node* newer = NewNode();
  Point(one->other, newer);
  DropRoot(newer);
  const int ends = ends_;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Collect().objects, 0u);
  EXPECT_EQ(ends_, ends);
  EXPECT_EQ(one->other.get(), newer);
  EXPECT_EQ(StageOf(newer), internal::Stage::kLive);
  Point(one->other, nullptr);
  EXPECT_EQ(ends_, ends + 1);
}

TEST_F(FreezeTest, RootScanTracesEachFrozenObjectOnce) {
  // More than a batch of hazards, each referring to the next and to one white object.
  Node* target = NewNode();
  Node* last = target;
  constexpr uint64_t kCount = 100;
  for (uint64_t i = 0; i < kCount; ++i) {
    Node* node = NewNode();
    Point(node->next, last);
    DropRoot(last);
    last = node;
  }
  (void)FreezeAll(space());
  Header::Of(target)->SetColour(0);
  const CollectionReport report = Collect();
  EXPECT_EQ(report.roots, kCount);
  EXPECT_EQ(report.marked, 1u) << "the target; frozen objects are traced, not marked";
  EXPECT_EQ(report.objects, 0u);
}

TEST_F(FreezeTest, RepaintingLeavesThemFrozen) {
  MakeGarbage();
  (void)FreezeAll(space());
  Node* other = NewNode();
  EXPECT_EQ(Collect().aborted, 0u);
  EXPECT_NE(ColourOf(other), 0);
  heap_.aborts_in_row = internal::kMaxColour;
  internal::CurrentSlot()->log_lost.store(true);
  EXPECT_EQ(Collect().aborted, 1u);
  EXPECT_EQ(ColourOf(other), 0) << "it was repainted";
  EXPECT_EQ(CountFrozen(space()), 2u);
}

TEST_F(FreezeTest, NoCollectionHasTheirColour) {
  MakeGarbage();
  (void)FreezeAll(space());
  for (int i = 0; i < internal::kMaxColour + 10; ++i) {
    MakeGarbage();
    ASSERT_EQ(Collect().objects, 2u);
    ASSERT_LT(core_.black.load(), kFrozenColour);
  }
  EXPECT_EQ(CountFrozen(space()), 2u);
}

TEST_F(FreezeTest, DyingOneIsNotTakenForCondemned) {
  Node* frozen = NewNode();
  (void)FreezeAll(space());
  MakeGarbage();  // in the same slab
  constexpr uint8_t kBlack = 9;
  CollectionReport report;
  ClearedCells cells;
  Condemn(space(), kBlack, &report, &cells, &NoPoll);
  EXPECT_EQ(report.objects, 2u);
  // As in the middle of a drop on another thread: DEAD, and not yet DYING.
  Header* header = Header::Of(frozen);
  const uint64_t word = header->Shared(std::memory_order_relaxed);
  (void)header->SetFlags(internal::kDead);
  ClearGarbage(space(), kBlack, internal::CurrentSlot(), &NoPoll);
  FreeGarbage(space(), kBlack, internal::CurrentSlot(), &NoPoll);
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(StageOf(frozen), internal::Stage::kLive);
  header->SetShared(word);
}

TEST_F(FreezeTest, FrozenTargetsAreNotLogged) {
  Node* holder = NewNode();
  Node* frozen = NewNode();
  Point(holder->next, frozen);
  (void)FreezeAll(space());
  Node* white = NewNode();
  Header::Of(white)->SetColour(0);
  Point(holder->other, white);
  const threads::test::Armed armed(&core_);
  Point(holder->next, nullptr);
  Point(holder->other, nullptr);
  EXPECT_EQ(object::test::TakeLogged(internal::CurrentSlot()), std::vector<void*>{white});
}

}  // namespace
}  // namespace reef::collector::test
