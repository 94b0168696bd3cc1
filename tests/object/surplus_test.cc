// Surplus: a drain with a budget leaves the rest, whole and in order, to the finisher.
#include "lib/object/surplus.h"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

#include "lib/os/chaos.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

// This thread is the finisher; an Actor drops.
class SurplusTest : public ObjectTest {
 protected:
  SurplusTest() {
    ActAsFinisher(true);
    AdmitSurplus();
  }
  ~SurplusTest() override {
    RefuseSurplus();
    ActAsFinisher(false);
  }

  static internal::Edge& EdgeOf(Member<Node>& member) {
    return const_cast<internal::Edge&>(internal::EdgeAccess::Of(member));
  }
  // A list of so many objects; returns the first, with one root.
  Node* MakeList(int length) {
    Node* head = nullptr;
    for (int i = 0; i < length; ++i) {
      Node* node = Make<Node>(&ends_);
      if (head != nullptr) EdgeOf(node->next).Adopt(head);
      head = node;
    }
    return head;
  }
  int ends() const { return ends_.load(); }
  static void Finish() {
    while (DestroySurplus(CurrentSlot())) {
    }
  }

  Actor dropper_;
};

TEST_F(SurplusTest, DrainStopsAtTheBudgetExactly) {
  for (const int budget : {64, 65, 1000, 4096, 4160, 10'000}) {
    core_.drop_budget = static_cast<uint64_t>(budget);
    ends_ = 0;
    constexpr int kLength = 30'000;
    dropper_.Do([&] { DropRoot(MakeList(kLength)); });
    EXPECT_EQ(ends(), budget);
    EXPECT_TRUE(HasSurplus());
    Finish();
    EXPECT_EQ(ends(), kLength);
    EXPECT_FALSE(HasSurplus());
    EXPECT_EQ(UsedBlocks(), 0u);
  }
}

TEST_F(SurplusTest, DropWithinTheBudgetLeavesNothing) {
  core_.drop_budget = 100;
  dropper_.Do([&] { DropRoot(MakeList(100)); });
  EXPECT_EQ(ends(), 100);
  EXPECT_FALSE(HasSurplus());
}

TEST_F(SurplusTest, WithoutBudgetAllIsDestroyedAtOnce) {
  dropper_.Do([&] { DropRoot(MakeList(50'000)); });
  EXPECT_EQ(ends(), 50'000);
  EXPECT_FALSE(HasSurplus());
}

TEST_F(SurplusTest, FinisherAndOrphanedDropsHaveNoBudget) {
  core_.drop_budget = 64;
  DropRoot(MakeList(1000));
  EXPECT_EQ(ends(), 1000);
  RefuseSurplus();
  dropper_.Do([&] { DropRoot(MakeList(1000)); });
  EXPECT_EQ(ends(), 2000);
  EXPECT_FALSE(HasSurplus());
}

TEST_F(SurplusTest, FinisherWorksInSlices) {
  core_.drop_budget = 64;
  constexpr int kLength = 50'000;
  dropper_.Do([&] { DropRoot(MakeList(kLength)); });
  int slices = 0;
  for (int before = ends(); DestroySurplus(CurrentSlot()); before = ends()) {
    ++slices;
    EXPECT_GT(ends(), before);
    EXPECT_LT(ends() - before, 10'000);
  }
  EXPECT_GE(slices, 5);
  EXPECT_EQ(ends(), kLength);
}

TEST_F(SurplusTest, ManyThreadsLeaveWhatTheyDrop) {
  core_.drop_budget = 64;
  constexpr int kThreads = 4;
  constexpr int kLists = 20;
  constexpr int kLength = 1000;
  {
    std::vector<Actor> droppers(kThreads);
    for (Actor& dropper : droppers) {
      dropper.Start([&] {
        for (int i = 0; i < kLists; ++i) DropRoot(MakeList(kLength));
      });
    }
    while (ends() < kThreads * kLists * kLength) {
      (void)DestroySurplus(CurrentSlot());
    }
    for (Actor& dropper : droppers) dropper.Join();
  }
  EXPECT_FALSE(HasSurplus());
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(SurplusTest, LeftObjectsAreRootsUntilTheyAreDestroyed) {
  core_.drop_budget = 64;
  Node* first = nullptr;
  dropper_.Do([&] {
    Node* list = MakeList(66);
    first = static_cast<Node*>(EdgeOf(list->next).Get());
    DropRoot(list);
  });
  ASSERT_EQ(ends(), 64);
  ASSERT_TRUE(HasSurplus());
  for (Node* node = first; node != nullptr;) {
    const Stage stage = StageOf(node);
    if (stage == Stage::kFree) break;
    node = static_cast<Node*>(EdgeOf(node->next).Get());
    EXPECT_NE(stage, Stage::kBuilding);
  }
  Finish();
  EXPECT_EQ(ends(), 66);
}

TEST_F(SurplusTest, TwoBatchesLaterAllThatWasLeftIsGone) {
  core_.drop_budget = 64;
  const auto leave = [&](int length) { dropper_.Do([&] { DropRoot(MakeList(length)); }); };
  leave(10'000);
  EXPECT_TRUE(DestroySurplus(CurrentSlot()));  // in the middle of a batch
  leave(1'000);
  const uint64_t last = CountSurplusDone() + 2;
  while (CountSurplusDone() < last) {
    leave(100);  // others go on
    ASSERT_TRUE(CountSurplusDone() == last || HasSurplus());
    (void)DestroySurplus(CurrentSlot());
  }
  EXPECT_GE(ends(), 11'000);
  Finish();
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(SurplusTest, DropLaterRunsNoDestructor) {
  constexpr int kLength = 10;
  dropper_.Do([&] { internal::DropExtLater(Header::Of(MakeList(kLength))); });
  EXPECT_EQ(ends(), 0);
  EXPECT_TRUE(HasSurplus());
  Finish();
  EXPECT_EQ(ends(), kLength);
}

TEST_F(SurplusTest, DropLaterOfOneReferenceAmongSeveralOnlyCounts) {
  dropper_.Do([&] {
    Node* node = Make<Node>(&ends_);
    AddRoot(node);
    internal::DropExtLater(Header::Of(node));
    EXPECT_EQ(ends(), 0);
    EXPECT_FALSE(HasSurplus());
    DropRoot(node);
  });
  EXPECT_EQ(ends(), 1);
}

TEST_F(SurplusTest, DropLaterOfAnothersObjectsRunsNoDestructorEither) {
  // Each is biased to this thread: the drops are queued, and worked off in between.
  constexpr int kObjects = 500;
  std::vector<Node*> nodes;
  for (int i = 0; i < kObjects; ++i) nodes.push_back(Make<Node>(&ends_));
  dropper_.Do([&] {
    for (Node* node : nodes) internal::DropExtLater(Header::Of(node));
    EXPECT_EQ(ends(), 0);
    EXPECT_EQ(CurrentSlot()->in_hand, 0u);
  });
  EXPECT_TRUE(HasSurplus());
  EXPECT_EQ(CountInHand(), 0u);
  while (Settle()) {
  }
  Finish();
  EXPECT_EQ(ends(), kObjects);
}

#if defined(REEF_CHAOS) && REEF_CHAOS

// Section 16, Down first: who finds nothing in hand and nothing left knows that all is gone.
TEST_F(SurplusTest, WhatIsInHandIsLeftBeforeItIsCountedDown) {
  static uint64_t least_in_hand = 0;
  static int leaves = 0;
  least_in_hand = ~uint64_t{0};
  // Biased to this thread: a batch of drops is taken in hand, listed, and left.
  constexpr int kObjects = 500;
  std::vector<Node*> nodes;
  for (int i = 0; i < kObjects; ++i) nodes.push_back(Make<Node>(&ends_));
  dropper_.Do([&nodes] {
    os::SetChaosHook([](const char* name) {
      if (std::string_view(name) != "surplus linked, not yet left") return;
      least_in_hand = std::min(least_in_hand, CountInHand());
      ++leaves;
    });
    for (Node* node : nodes) internal::DropExtLater(Header::Of(node));
    os::SetChaosHook(nullptr);
  });
  EXPECT_GE(leaves, 5);
  EXPECT_EQ(least_in_hand, 1u);
  EXPECT_EQ(CountInHand(), 0u);
  while (Settle()) {
  }
  Finish();
  EXPECT_EQ(ends(), kObjects);
}

#endif  // REEF_CHAOS

}  // namespace
}  // namespace reef::object::test
