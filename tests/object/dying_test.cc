// The dying worklist: order, depth, what a dead header reads, and objects under a marker's hands.
#include "lib/object/dying.h"

#include <atomic>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

#include "lib/threads/hazard.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using internal::kHomeSample;

class DyingTest : public ObjectTest {
 protected:
  static internal::Edge& EdgeOf(Member<Node>& member) {
    return const_cast<internal::Edge&>(internal::EdgeAccess::Of(member));
  }
  static void Point(Member<Node>& member, Node* target) { EdgeOf(member).Store(target); }

  // What dies between these two waits on the worklist.
  static void HoldDestructors() { CurrentSlot()->draining = true; }
  static void RunDestructors() {
    CurrentSlot()->draining = false;
    Drain(CurrentSlot());
  }
};

// Says, while its destructor runs, what its header reads and who is still there.
struct Witness {
  ~Witness() {
    stage = StageOf(this);
    owner = OwnerOf(this);
    flags = Counts::Of(this).flags;
    DropRoot(this);  // of a dead object: must do nothing
  }
  void Trace(Visitor&) const {}
  static inline Stage stage{};
  static inline internal::Owner owner = 99;
  static inline uint64_t flags = 0;
};

struct Ordered {
  Ordered(int my_number, std::vector<int>* the_order) : number(my_number), order(the_order) {}
  ~Ordered() { order->push_back(number); }
  void Trace(Visitor& visitor) const { visitor.Visit(left, right); }
  Member<Ordered> left;
  Member<Ordered> right;
  int number;
  std::vector<int>* order;
};

TEST_F(DyingTest, DestructorSeesADeadHeader) {
  DropRoot(Make<Witness>());
  EXPECT_EQ(Witness::stage, Stage::kDestroying);
  EXPECT_EQ(Witness::owner, internal::kNobody);
  EXPECT_EQ(Witness::flags, internal::kMerged | internal::kDead);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(DyingTest, LongListNeedsNoStack) {
  constexpr int kLength = 300'000;  // recursion would need tens of megabytes
  Node* head = Make<Node>(&ends_);
  for (int i = 1; i < kLength; ++i) {
    Node* node = Make<Node>(&ends_);
    Point(node->next, head);
    DropRoot(head);
    head = node;
  }
  EXPECT_EQ(ends_, 0);
  DropRoot(head);
  EXPECT_EQ(ends_, kLength);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(DyingTest, ParentsAreDestroyedBeforeTheirChildren) {
  std::vector<int> order;
  Ordered* nodes[4];
  for (int i = 0; i < 4; ++i) nodes[i] = Make<Ordered>(i, &order);
  const auto adopt = [](Member<Ordered>& member, Ordered* target) {
    const_cast<internal::Edge&>(internal::EdgeAccess::Of(member)).Adopt(target);
  };
  adopt(nodes[0]->left, nodes[1]);
  adopt(nodes[1]->left, nodes[3]);
  adopt(nodes[0]->right, nodes[2]);
  DropRoot(nodes[0]);
  ASSERT_EQ(order.size(), 4u);
  EXPECT_EQ(order[0], 0);
  std::vector<int> place(4);
  for (size_t i = 0; i < 4; ++i) place[static_cast<size_t>(order[i])] = static_cast<int>(i);
  EXPECT_LT(place[1], place[3]);
}

TEST_F(DyingTest, NothingIsDestroyedWhileTheSlotDrains) {
  Node* node = Make<Node>(&ends_);
  Slot* slot = CurrentSlot();
  slot->draining = true;
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
  EXPECT_NE(StageOf(node), Stage::kLive);
  EXPECT_EQ(slot->dying.first(), Header::Of(node));
  slot->draining = false;
  Drain(slot);
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(slot->dying.first(), nullptr);
}

TEST_F(DyingTest, PrivateObjectDiesInOneBracket) {
  Slot* slot = CurrentSlot();
  Node* one = Make<Node>(&ends_);
  Node* two = Make<Node>(&ends_);
  slot->unsampled = kHomeSample;
  const uint64_t seq = slot->seq.load();
  HoldDestructors();
  DropRoot(one);
  EXPECT_EQ(slot->seq.load(), seq + 2);
  DropRoot(two);
  for (const Node* node : {one, two}) {
    EXPECT_EQ(StageOf(node), Stage::kDestroying);
    EXPECT_EQ(OwnerOf(node), internal::kNobody);
    EXPECT_EQ(Counts::Of(node).flags, internal::kMerged | internal::kDead);
  }
  EXPECT_EQ(slot->dying.first(), Header::Of(one));
  EXPECT_EQ(Header::Of(one)->Link(), Header::Of(two));
  EXPECT_EQ(Header::Of(two)->Link(), nullptr);
  EXPECT_EQ(ends_, 0);
  RunDestructors();
  EXPECT_EQ(slot->seq.load(), seq + 4) << "no bracket for the destructors";
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(UsedBlocks(), 0u);
}

TEST_F(DyingTest, DeadObjectKeepsItsEdgesUntilItsDestructorRuns) {
  Node* parent = Make<Node>(&ends_);
  Node* child = Make<Node>(&ends_);
  EdgeOf(parent->next).Adopt(child);
  HoldDestructors();
  DropRoot(parent);
  EXPECT_EQ(parent->next.get(), child);
  EXPECT_EQ(StageOf(child), Stage::kLive);
  EXPECT_EQ(Counts::Of(child), (Counts{0, 1, 0, 0, 0}));
  RunDestructors();
  EXPECT_EQ(ends_, 2);
}

TEST_F(DyingTest, SampledDeathGoesByTheGeneralCase) {
  Slot* slot = CurrentSlot();
  Node* node = Make<Node>(&ends_);
  slot->unsampled = 1;
  HoldDestructors();
  DropRoot(node);
  EXPECT_EQ(StageOf(node), Stage::kDying);
  EXPECT_EQ(slot->unsampled, kHomeSample);
  RunDestructors();
  EXPECT_EQ(ends_, 1);
}

TEST_F(DyingTest, ArmedDropOfTheLastRootIsLoggedAndDyingFirst) {
  Slot* slot = CurrentSlot();
  Node* node = Make<Node>(&ends_);
  core_.black.store(2);
  const Armed armed(&core_);
  slot->unsampled = kHomeSample;
  HoldDestructors();
  DropRoot(node);
  EXPECT_EQ(TakeLogged(slot), std::vector<void*>{node});
  EXPECT_EQ(StageOf(node), Stage::kDying);
  EXPECT_EQ(slot->dying.first(), Header::Of(node));
  RunDestructors();
  EXPECT_EQ(ends_, 1);
}

TEST_F(DyingTest, WithoutMembarrierObjectsDieByTheGeneralCase) {
  Slot* slot = CurrentSlot();
  Node* twice = Make<Node>(&ends_);
  AddRoot(twice);
  core_.black.store(2);
  const Armed idle(&core_, Mode::kIdleFenced);
  slot->unsampled = kHomeSample;
  HoldDestructors();
  DropRoot(twice);
  EXPECT_EQ(Counts::Of(twice), (Counts{1, 0, 0, 0, 0}));
  DropRoot(twice);
  EXPECT_EQ(StageOf(twice), Stage::kDying);
  RunDestructors();
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(TakeLogged(slot).empty()) << "no collection is armed";
}

// A marker that finds it DESTROYING scans its words and never traces it, so its destructor need not
// wait for one that has published it.
TEST_F(DyingTest, ObjectThatDiedBeforeArmingIsNotHandedOver) {
  Node* node = Make<Node>(&ends_);
  Header* header = Header::Of(node);
  CurrentSlot()->unsampled = kHomeSample;
  HoldDestructors();
  DropRoot(node);
  threads::HazardsOf(0).Publish(&header, 1);
  {
    const Armed armed(&core_);
    RunDestructors();
  }
  threads::HazardsOf(0).Clear();
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(threads::AnyHandedOver());
  EXPECT_EQ(StageOf(node), Stage::kFree);
}

// One that was DYING when the collection armed: its destructor's own bracket finds that out.
TEST_F(DyingTest, ObjectThatWasDyingWhenACollectionArmedIsHandedOver) {
  Node* node = Make<Node>(&ends_);
  Header* header = Header::Of(node);
  CurrentSlot()->unsampled = 1;
  HoldDestructors();
  DropRoot(node);
  ASSERT_EQ(StageOf(node), Stage::kDying);
  threads::HazardsOf(0).Publish(&header, 1);
  {
    const Armed armed(&core_);
    RunDestructors();
    EXPECT_EQ(ends_, 0);
  }
  threads::HazardsOf(0).Clear();
  ASSERT_EQ(threads::TakeHandedOver(), header);
  PushDying(CurrentSlot(), header);
  Drain(CurrentSlot());
  EXPECT_EQ(ends_, 1);
}

TEST_F(DyingTest, ObjectUnderAMarkersHandsIsHandedOver) {
  Node* traced = Make<Node>(&ends_);
  Node* another = Make<Node>(&ends_);
  Header* header = Header::Of(traced);
  threads::HazardsOf(0).Publish(&header, 1);
  {
    const Armed armed(&core_);
    DropRoot(another);
    EXPECT_EQ(ends_, 1) << "nobody traces this one";
    DropRoot(traced);
    EXPECT_EQ(ends_, 1);
    EXPECT_EQ(StageOf(traced), Stage::kDestroying);
  }
  threads::HazardsOf(0).Clear();
  EXPECT_EQ(threads::TakeHandedOver(), header);
  PushDying(CurrentSlot(), header);
  Drain(CurrentSlot());
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(StageOf(traced), Stage::kFree);
}

TEST_F(DyingTest, HazardsDoNotMatterWhenNothingIsArmed) {
  Node* node = Make<Node>(&ends_);
  Header* header = Header::Of(node);
  threads::HazardsOf(0).Publish(&header, 1);
  DropRoot(node);
  EXPECT_EQ(ends_, 1);
  threads::HazardsOf(0).Clear();
}

TEST_F(DyingTest, UnbornObjectLeavesWithoutADestructor) {
  Node* node = Make<Node>(&ends_);
  internal::FreeUnborn(Header::Of(node));
  EXPECT_EQ(StageOf(node), Stage::kFree);
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(UsedBlocks(), 0u);
  EXPECT_EQ(Make<Node>(&ends_), node);
}

TEST_F(DyingTest, ObjectFreedElsewhereGoesBackToItsSlab) {
  Node* node = Make<Node>(&ends_);
  internal::ShareUnique(Header::Of(node));
  Actor other;
  other.Do([=] { DropRoot(node); });
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(UsedBlocks(), 0u);
  EXPECT_EQ(internal::RemoteCount(internal::SlabOf(Header::Of(node))->remote.load()), 1u);
}

}  // namespace
}  // namespace reef::object::test
