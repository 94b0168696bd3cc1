// The rules of the biased count, one by one: which field each operation changes, and when an object
// is dead.
#include "reef/internal/count.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this file is about headers

class CountTest : public ObjectTest {
 protected:
  void SetShared(void* payload, uint64_t word) { Header::Of(payload)->SetShared(word); }
  Node* NewNode() { return Make<Node>(&ends_); }

  Actor other_;
};

TEST_F(CountTest, NewbornHasOneLocalRoot) {
  Node* node = NewNode();
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(OwnerOf(node), CurrentSlot()->index + 1);
  EXPECT_EQ(StageOf(node), Stage::kLive);
}

TEST_F(CountTest, OwnerCountsInLocal) {
  Node* node = NewNode();
  AddRoot(node);
  AddEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{2, 1, 0, 0, 0}));
  DropRoot(node);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 1, 0, 0, 0}));
  DropEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(ends_, 0);
}

TEST_F(CountTest, OthersCountInShared) {
  Node* node = NewNode();
  other_.Do([=] {
    AddRoot(node);
    AddEdge(node);
    AddEdge(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 1, 2, 0}));
  other_.Do([=] {
    DropEdge(node);
    DropRoot(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 1, 0}));
  EXPECT_EQ(CountPending(), 0u);
}

TEST_F(CountTest, ThreadWithoutASlotCountsInShared) {
  Node* node = NewNode();
  std::thread([=] { IncrementExt(Header::Of(node)); }).join();
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 1, 0, 0}));
}

TEST_F(CountTest, FullLocalFieldSpillsIntoShared) {
  Node* node = NewNode();
  for (int i = 1; i < 511; ++i) AddRoot(node);
  EXPECT_EQ(Counts::Of(node), (Counts{511, 0, 0, 0, 0}));
  AddRoot(node);
  EXPECT_EQ(Counts::Of(node), (Counts{256, 0, 256, 0, 0}));
  for (int i = 0; i < 512; ++i) AddEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{256, 256, 256, 256, 0}));
}

TEST_F(CountTest, OwnerDropsSpilledReferencesFromShared) {
  Node* node = NewNode();
  for (int i = 1; i < 512; ++i) AddRoot(node);
  for (int i = 0; i < 256; ++i) DropRoot(node);
  // The last local one gives the object up; the rest is shared.
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 256, 0, kMerged}));
  EXPECT_EQ(OwnerOf(node), kNobody);
  for (int i = 0; i < 255; ++i) DropRoot(node);
  EXPECT_EQ(ends_, 0);
  DropRoot(node);
  EXPECT_EQ(ends_, 1);
}

TEST_F(CountTest, OwnersEdgeDropFallsBackToShared) {
  Node* node = NewNode();
  other_.Do([=] { AddEdge(node); });
  DropEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, 0}));
}

TEST_F(CountTest, PrivateObjectDiesWithItsLastReference) {
  Node* node = NewNode();
  AddEdge(node);
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
  DropEdge(node);
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(node), Stage::kFree);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(CountTest, TrivialLeafDiesByItsHeader) {
  Number* number = Make<Number>();
  AddRoot(number);
  DropRoot(number);
  EXPECT_EQ(StageOf(number), Stage::kLive);
  DropRoot(number);
  EXPECT_EQ(StageOf(number), Stage::kFree);
  EXPECT_EQ(UsedBlocks(), 0u);
  EXPECT_EQ(Make<Number>(), number);
}

TEST_F(CountTest, OwnerMergesWhenOthersStillCount) {
  Node* node = NewNode();
  other_.Do([=] { AddRoot(node); });
  DropRoot(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 1, 0, kMerged}));
  EXPECT_EQ(OwnerOf(node), kNobody);
  EXPECT_EQ(ends_, 0);
  other_.Do([=] { DropRoot(node); });
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(node), Stage::kFree);
}

TEST_F(CountTest, OwnerKillsWhenTheSharedSumIsZero) {
  // The other thread's root pays for an edge that the owner counted.
  Node* node = NewNode();
  AddEdge(node);
  SetShared(node, kSharedInit + kSharedExt - kSharedHeap);
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
  DropEdge(node);
  EXPECT_EQ(ends_, 1);
}

TEST_F(CountTest, FormerOwnerCountsInSharedAfterMerging) {
  Node* node = NewNode();
  other_.Do([=] { AddRoot(node); });
  DropRoot(node);
  AddRoot(node);
  AddEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 2, 1, kMerged}));
  DropRoot(node);
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
  DropEdge(node);
  EXPECT_EQ(ends_, 1);
}

TEST_F(CountTest, RootThatTheOwnerCountedIsQueued) {
  Node* node = NewNode();
  AddRoot(node);
  other_.Do([=] { DropRoot(node); });
  EXPECT_EQ(Counts::Of(node), (Counts{2, 0, 0, 0, kQueued})) << "kept";
  EXPECT_EQ(CountPending(), 1u);
  EXPECT_EQ(CountReferences(Header::Of(node)), 1);
}

TEST_F(CountTest, EdgeBelowTheSumIsQueuedAsARoot) {
  Node* node = NewNode();
  AddEdge(node);
  DropRoot(node);
  other_.Do([=] { DropEdge(node); });
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 1, -1, kQueued})) << "a root until it is settled";
  EXPECT_EQ(CountReferences(Header::Of(node)), 0);
  EXPECT_EQ(ends_, 0);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
}

TEST_F(CountTest, EdgeThatAnotherCountCoversIsNotQueued) {
  Node* node = NewNode();
  AddEdge(node);
  other_.Do([=] {
    AddRoot(node);
    DropEdge(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 1, 1, -1, 0}));
  EXPECT_EQ(CountPending(), 0u);
  // The root is needed now to keep the sum from going below zero.
  other_.Do([=] { DropRoot(node); });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 1, 1, -1, kQueued}));
}

TEST_F(CountTest, QueuedObjectsFieldsMayGoBelowZero) {
  Node* node = NewNode();
  AddRoot(node);
  AddRoot(node);
  AddEdge(node);
  other_.Do([=] {
    DropRoot(node);
    DropRoot(node);
    DropEdge(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{3, 1, -1, -1, kQueued}));
  EXPECT_EQ(CountPending(), 1u) << "queued once";
  EXPECT_FALSE(Settle());
  EXPECT_EQ(Counts::Of(node).flags, kMerged);
  EXPECT_EQ(CountReferences(Header::Of(node)), 1);
  EXPECT_EQ(ends_, 0);
  DropRoot(node);
  EXPECT_EQ(ends_, 1);
}

TEST_F(CountTest, OwnerConvertsInLocal) {
  Node* node = NewNode();
  const uint64_t suspects = CurrentSlot()->suspects.load();
  RootToEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(CurrentSlot()->suspects.load(), suspects + 1);
}

TEST_F(CountTest, OwnersConversionSpills) {
  Node* node = NewNode();
  for (int i = 0; i < 511; ++i) AddEdge(node);
  RootToEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 256, 0, 256, 0}));
}

TEST_F(CountTest, OthersConvertTheirOwnRootByOneAdd) {
  Node* node = NewNode();
  other_.Do([=] {
    AddRoot(node);
    RootToEdge(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 1, 0}));
  EXPECT_EQ(CountPending(), 0u);
}

TEST_F(CountTest, OthersConversionOfTheOwnersRootIsQueued) {
  Node* node = NewNode();
  other_.Do([=] { RootToEdge(node); });
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 1, kQueued}));
  EXPECT_FALSE(Settle());
  EXPECT_EQ(Counts::Of(node).flags, kMerged);
  EXPECT_EQ(Counts::Of(node).shared_ext, 0);
  EXPECT_EQ(Counts::Of(node).shared_heap, 1);
  EXPECT_EQ(ends_, 0);
}

TEST_F(CountTest, OwnerConvertsARootThatIsCountedInShared) {
  Node* node = NewNode();
  other_.Do([=] { AddRoot(node); });
  RootToEdge(node);  // its own
  RootToEdge(node);  // the one that the other thread handed over
  EXPECT_EQ(Counts::Of(node), (Counts{0, 2, 0, 0, 0}));
}

TEST_F(CountTest, MergedObjectConvertsInShared) {
  Node* node = NewNode();
  other_.Do([=] { AddRoot(node); });
  DropRoot(node);
  RootToEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 0, 1, kMerged}));
  DropEdge(node);
  EXPECT_EQ(ends_, 1);
}

TEST_F(CountTest, DropsThatLeaveATracedObjectAliveAreSuspects) {
  Node* node = NewNode();
  Number* number = Make<Number>();
  Slot* slot = CurrentSlot();
  AddEdge(node);
  AddEdge(number);
  uint64_t suspects = slot->suspects.load();
  AddRoot(node);
  DropRoot(node);
  EXPECT_EQ(slot->suspects.load(), suspects) << "a root remains";
  DropRoot(node);
  EXPECT_EQ(slot->suspects.load(), ++suspects);
  DropRoot(number);
  EXPECT_EQ(slot->suspects.load(), suspects) << "leaves are never in cycles";
}

TEST_F(CountTest, BusyNamesTheObjectDuringAnOperationOnly) {
  Node* node = NewNode();
  Slot* slot = CurrentSlot();
  {
    const BusyScope busy(slot, Header::Of(node));
    EXPECT_EQ(slot->busy.load(), Header::Of(node));
  }
  AddRoot(node);
  DropRoot(node);
  DropRoot(node);
  EXPECT_EQ(slot->busy.load(), nullptr);
}

TEST_F(CountTest, WhiteObjectThatLosesItsLastRootIsLogged) {
  Node* mine = NewNode();
  Node* theirs = NewNode();
  for (Node* node : {mine, theirs}) AddEdge(node);
  other_.Do([=] {
    AddRoot(theirs);
    AddRoot(theirs);
  });
  Slot* other_slot = other_.slot();
  core_.black.store(2);
  const Armed armed(&core_);
  AddRoot(mine);
  DropRoot(mine);
  EXPECT_TRUE(TakeLogged(CurrentSlot()).empty());
  DropRoot(mine);
  EXPECT_EQ(TakeLogged(CurrentSlot()), std::vector<void*>{mine});
  other_.Do([=] {
    DropRoot(theirs);
    DropRoot(theirs);
  });
  const std::vector<void*> logged = TakeLogged(other_slot);
  ASSERT_FALSE(logged.empty());
  for (const void* payload : logged) EXPECT_EQ(payload, theirs);
}

TEST_F(CountTest, SettledReferenceIsLogged) {
  Node* node = NewNode();
  AddRoot(node);
  other_.Do([=] { DropRoot(node); });
  core_.black.store(2);
  const Armed armed(&core_);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(TakeLogged(CurrentSlot()), std::vector<void*>{node});
}

// Threads count one object up and down; nothing is lost, and it dies once, when all are through.
TEST_F(CountTest, CountsOfManyThreadsAddUp) {
  constexpr int kThreads = 3;
  for (size_t round = 0; round < 20 * kScale; ++round) {
    Node* node = NewNode();
    for (int i = 0; i < kThreads; ++i) AddRoot(node);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([node] {
        for (int step = 0; step < 200; ++step) {
          AddRoot(node);
          AddEdge(node);
          DropRoot(node);
          DropEdge(node);
        }
        DropRoot(node);  // counted by the maker
      });
    }
    for (int step = 0; step < 200; ++step) {
      AddRoot(node);
      (void)Settle();
      DropRoot(node);
    }
    for (auto& thread : threads) thread.join();
    while (Settle()) {
    }
    ASSERT_EQ(CountReferences(Header::Of(node)), 1);
    DropRoot(node);
    while (Settle()) {
    }
    ASSERT_EQ(ends_, static_cast<int>(round) + 1);
  }
}

}  // namespace
}  // namespace reef::object::test
