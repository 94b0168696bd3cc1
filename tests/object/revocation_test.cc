// Revocation: the bias goes without the owner's help; what must wait waits, and is settled later.
#include "lib/object/revocation.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using internal::CountReferences;
using internal::kMerged;
using internal::kNobody;
using internal::kQueued;
using internal::kRevoking;

class RevocationTest : public ObjectTest {
 protected:
  // An object of the owner's, with `roots` roots of which the calling thread drops one.
  Node* Queued(int roots) {
    Node* node = nullptr;
    owner_.Do([&] {
      node = Make<Node>(&ends_);
      for (int i = 1; i < roots; ++i) AddRoot(node);
    });
    DropRoot(node);
    EXPECT_EQ(Counts::Of(node).flags, kQueued);
    EXPECT_EQ(CountPending(), 1u);
    return node;
  }

  Actor owner_;
};

TEST_F(RevocationTest, SleepingOwnersObjectDies) {
  Node* node = Queued(1);
  EXPECT_EQ(ends_, 0);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(node), Stage::kFree);
  EXPECT_EQ(CountPending(), 0u);
}

TEST_F(RevocationTest, LocalCountsMoveToShared) {
  Node* node = Queued(3);
  owner_.Do([=] { AddEdge(node); });
  RevokePending(CurrentSlot(), *CurrentSlot());
  EXPECT_EQ(OwnerOf(node), kRevoking);
  const Counts counts = Counts::Of(node);
  EXPECT_EQ(counts.flags, kMerged);
  EXPECT_EQ(counts.shared_ext, 2);
  EXPECT_EQ(counts.shared_heap, 1);
  EXPECT_EQ(CountReferences(Header::Of(node)), 3);
}

TEST_F(RevocationTest, FormerOwnerCountsInShared) {
  Node* node = Queued(2);
  (void)Settle();
  owner_.Do([=] {
    AddRoot(node);
    AddEdge(node);
  });
  EXPECT_EQ(Counts::Of(node).shared_ext, 2);
  EXPECT_EQ(Counts::Of(node).shared_heap, 1);
  owner_.Do([=] {
    DropRoot(node);
    DropRoot(node);
  });
  EXPECT_EQ(ends_, 0);
  owner_.Do([=] { DropEdge(node); });
  EXPECT_EQ(ends_, 1);
}

TEST_F(RevocationTest, BusyOwnersObjectStaysPending) {
  Node* node = Queued(1);
  Slot* owner = owner_.slot();
  owner->busy.store(Header::Of(node));
  EXPECT_TRUE(Settle());
  EXPECT_TRUE(Settle());
  EXPECT_EQ(CountPending(), 1u);
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, kQueued})) << "kept until it is safe";
  owner->busy.store(nullptr);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
}

TEST_F(RevocationTest, OwnerBusyWithAnotherObjectIsNotWaitedFor) {
  Node* node = Queued(1);
  Node* another = nullptr;
  owner_.Do([&] { another = Make<Node>(&ends_); });
  owner_.slot()->busy.store(Header::Of(another));
  EXPECT_FALSE(Settle());
  EXPECT_EQ(StageOf(node), Stage::kFree);
  owner_.slot()->busy.store(nullptr);
}

TEST_F(RevocationTest, CountThatOverwritesRevokingIsNotLost) {
  Node* node = Queued(1);
  Slot* owner = owner_.slot();
  const uint32_t local = Header::Of(node)->Local(std::memory_order_relaxed);
  owner->busy.store(Header::Of(node));
  EXPECT_TRUE(Settle());
  EXPECT_EQ(OwnerOf(node), kRevoking);
  // The owner had read its word before, and now stores it, one root more.
  Header::Of(node)->SetLocal(local + internal::kLocalExt);
  owner->busy.store(nullptr);
  while (Settle()) {
  }
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(CountReferences(Header::Of(node)), 1);
  DropRoot(node);
  EXPECT_EQ(ends_, 1);
}

TEST_F(RevocationTest, OwnerThatHasMergedMakesItAnOrdinaryDrop) {
  Node* node = Queued(2);
  AddRoot(node);
  // The owner drops all that it counted, one of them for this thread.
  owner_.Do([=] {
    DropRoot(node);
    DropRoot(node);
  });
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 1, 0, kMerged | kQueued}));
  EXPECT_EQ(ends_, 0);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
}

TEST_F(RevocationTest, OwnerInsideItsLastDropIsLeftAlone) {
  Node* node = Queued(1);
  Header* header = Header::Of(node);
  const uint32_t local = header->Local(std::memory_order_relaxed);
  header->SetLocal(0);  // given up, not yet merged
  EXPECT_TRUE(Settle());
  EXPECT_EQ(OwnerOf(node), kNobody);
  EXPECT_EQ(CountPending(), 1u);
  header->SetLocal(local);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
}

TEST_F(RevocationTest, DropperRevokesWhenItsListFills) {
  constexpr int kDrops = internal::kPendingEntries - 8;
  std::vector<Node*> nodes;
  owner_.Do([&] {
    for (int i = 0; i < kDrops; ++i) nodes.push_back(Make<Node>(&ends_));
  });
  Actor dropper;
  dropper.Do([&] {
    RevokePending(CurrentSlot(), *CurrentSlot());  // its slot may have belonged to another thread
    for (int i = 0; i < kDrops - 1; ++i) DropRoot(nodes[static_cast<size_t>(i)]);
  });
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(CountPending(), static_cast<uint64_t>(kDrops - 1));
  dropper.Do([&] { DropRoot(nodes.back()); });
  EXPECT_EQ(ends_, kDrops);
  EXPECT_EQ(CountPending(), 0u);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(RevocationTest, PendingOfAllThreadsIsSettled) {
  constexpr int kDroppers = 2;
  Actor droppers[kDroppers];
  for (Actor& dropper : droppers) {
    Node* node = nullptr;
    owner_.Do([&] { node = Make<Node>(&ends_); });
    dropper.Do([=] { DropRoot(node); });
  }
  EXPECT_EQ(CountPending(), static_cast<uint64_t>(kDroppers));
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, kDroppers);
}

TEST_F(RevocationTest, WhatDiesTakesItsEdgesAlong) {
  Node* node = nullptr;
  owner_.Do([&] {
    node = Make<Node>(&ends_);
    Node* child = Make<Node>(&ends_);
    RootToEdge(child);
    // The edge itself, without counting twice.
    internal::Edge& edge = const_cast<internal::Edge&>(internal::EdgeAccess::Of(node->next));
    edge.cell().store(child);
  });
  DropRoot(node);
  while (Settle()) {  // the child's edge is queued in turn: its owner sleeps as well
  }
  EXPECT_EQ(ends_, 2);
}

TEST_F(RevocationTest, QueuedLeafDies) {
  Number* number = nullptr;
  owner_.Do([&] { number = Make<Number>(); });
  DropRoot(number);
  EXPECT_EQ(StageOf(number), Stage::kLive);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(StageOf(number), Stage::kFree);
}

// The owner counts up and down as fast as it can while others drop what it counted for them and a
// third thread revokes. Every object dies once, and not before the owner's own root is gone.
TEST_F(RevocationTest, NoCountIsLostWhileTheOwnerIsAtWork) {
  constexpr size_t kObjects = 64;
  const int rounds = static_cast<int>(10 * kScale);
  std::atomic<bool> stop{false};
  std::thread revoker([&stop] {
    while (!stop.load()) {
      (void)Settle();
      std::this_thread::yield();
    }
  });
  int expected = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Node*> nodes;
    Gate made;
    owner_.Start([&] {
      for (size_t i = 0; i < kObjects; ++i) {
        nodes.push_back(Make<Node>(&ends_));
        AddRoot(nodes.back());
      }
      made.Open();
      for (int step = 0; step < 50; ++step) {
        for (Node* node : nodes) AddRoot(node);
        for (Node* node : nodes) DropRoot(node);
      }
    });
    made.Pass();
    for (size_t i = 0; i < kObjects; ++i) DropRoot(nodes[i]);
    owner_.Wait();
    EXPECT_EQ(ends_, expected) << "the owner's root is still there";
    owner_.Do([&] {
      for (Node* node : nodes) DropRoot(node);
    });
    expected += static_cast<int>(kObjects);
    while (CountPending() != 0 || ends_ != expected) std::this_thread::yield();
  }
  stop.store(true);
  revoker.join();
  EXPECT_EQ(ends_, expected);
  EXPECT_EQ(UsedBlocks(), 0u);
}

}  // namespace
}  // namespace reef::object::test
