// The claim of a sole reference: when it succeeds, when it must not, and what a failed one leaves.
#include "lib/object/sole.h"

#include <atomic>

#include "gtest/gtest.h"

#include "lib/object/surplus.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

class SoleTest : public ObjectTest {
 protected:
  void SetUp() override { claims_before_ = CurrentSlot()->claims_sole; }
  void TearDown() override { CurrentSlot()->claims_sole = claims_before_; }

  Node* MakeElsewhere() {
    Node* node = nullptr;
    owner_.Do([&] { node = Make<Node>(&ends_); });
    return node;
  }
  static bool Claim(Node* node, Kind kind) { return ClaimSole(Header::Of(node), kind); }

  Actor owner_;
  bool claims_before_ = false;
};

TEST_F(SoleTest, SoleRootAndSoleEdgeAreClaimed) {
  Node* root = MakeElsewhere();
  EXPECT_FALSE(Claim(root, Kind::kHeap));
  EXPECT_TRUE(Claim(root, Kind::kExt));
  Node* edge = MakeElsewhere();
  owner_.Do([&] { RootToEdge(edge); });
  EXPECT_FALSE(Claim(edge, Kind::kExt));
  EXPECT_TRUE(Claim(edge, Kind::kHeap));
}

TEST_F(SoleTest, SecondReferenceOfEitherHalfPreventsIt) {
  Node* local = MakeElsewhere();
  owner_.Do([&] { AddRoot(local); });
  EXPECT_FALSE(Claim(local, Kind::kExt));
  Node* mixed = MakeElsewhere();
  owner_.Do([&] { AddEdge(mixed); });
  EXPECT_FALSE(Claim(mixed, Kind::kExt));
  Node* shared = MakeElsewhere();
  AddRoot(shared);
  EXPECT_FALSE(Claim(shared, Kind::kExt));
  Node* flagged = MakeElsewhere();
  (void)Header::Of(flagged)->SetFlags(internal::kPublished);
  EXPECT_FALSE(Claim(flagged, Kind::kExt));
}

TEST_F(SoleTest, FinisherDestroysAnothersObjectsAtOnce) {
  CurrentSlot()->claims_sole = true;
  DropRoot(MakeElsewhere());
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(CountPending(), 0u);
  CurrentSlot()->claims_sole = false;
  DropRoot(MakeElsewhere());
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(CountPending(), 1u);
}

// A failed claim leaves CLAIMED and nobody who remembers the owner: counted on in shared, and
// revoked by whoever is asked to.
TEST_F(SoleTest, ObjectOfAFailedClaimIsCountedOnAndFreed) {
  Node* node = MakeElsewhere();
  AddRoot(node);
  ASSERT_FALSE(Claim(node, Kind::kExt));
  ASSERT_EQ(OwnerOf(node), internal::kClaimed);
  owner_.Do([&] {
    AddRoot(node);
    DropRoot(node);
  });
  EXPECT_EQ(Counts::Of(node).shared_ext, 1);
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
  owner_.Do([&] { DropRoot(node); });
  while (Settle()) {
  }
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(SoleTest, DisplacedOwnerInTheMiddleOfACountHoldsTheObject) {
  Node* node = MakeElsewhere();
  AddRoot(node);
  ASSERT_FALSE(Claim(node, Kind::kExt));
  DropRoot(node);
  DropRoot(node);  // queued: nobody knows whom the claim displaced
  ASSERT_EQ(CountPending(), 1u);
  Slot* owner = owner_.slot();
  owner->busy.store(Header::Of(node));
  EXPECT_TRUE(Settle());
  EXPECT_EQ(ends_, 0);
  owner->busy.store(nullptr);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
}

// Many objects with one or two references each, the second one lent, counted and dropped by the
// owner or here while the first is dropped by a claimant: each dies once, and only without either.
TEST_F(SoleTest, ClaimsRaceWithTheOwnersCounts) {
  CurrentSlot()->claims_sole = true;
  const int rounds = 20'000 / kScale;
  std::atomic<Node*> passed{nullptr};
  std::atomic<bool> stop{false};
  std::atomic<int> alive_wrong{0};
  owner_.Start([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      Node* node = Make<Node>(nullptr);
      node->ends = &ends_;
      AddRoot(node);
      // One reference goes to the claimant; this thread copies, checks and drops its own.
      Node* none = nullptr;
      while (!passed.compare_exchange_weak(none, node, std::memory_order_acq_rel)) {
        none = nullptr;
        if (stop.load(std::memory_order_relaxed)) {
          DropRoot(node);
          break;
        }
      }
      for (int i = 0; i < 3; ++i) {
        AddRoot(node);
        if (StageOf(node) != Stage::kLive) alive_wrong.fetch_add(1);
        DropRoot(node);
      }
      DropRoot(node);
    }
  });
  for (int i = 0; i < rounds;) {
    Node* node = passed.exchange(nullptr, std::memory_order_acq_rel);
    if (node == nullptr) continue;
    DropRoot(node);
    ++i;
  }
  stop.store(true);
  owner_.Wait();
  if (Node* node = passed.exchange(nullptr)) DropRoot(node);
  while (Settle()) {
  }
  EXPECT_EQ(alive_wrong, 0);
  EXPECT_EQ(UsedBlocks(), 0u);
}

}  // namespace
}  // namespace reef::object::test
