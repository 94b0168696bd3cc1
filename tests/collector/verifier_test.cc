// The verifier: a sound heap passes, and each planted fault is found and named.
#include "lib/collector/verifier.h"

#include <string>

#include "gtest/gtest.h"

#include "reef/atomic_marked.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::Stage;

struct MarkedHolder {
  void Trace(Visitor& visitor) const { visitor.Visit(edge); }
  AtomicMarkedMember<Node> edge;
};

class VerifierTest : public CollectorTest {
 protected:
  void ExpectFault(const std::string& text) {
    const absl::Status status = Verify(space());
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(text), std::string::npos) << status;
  }
};

TEST_F(VerifierTest, SoundHeapPasses) {
  EXPECT_TRUE(Verify(space()).ok());
  Node* one = NewNode();
  Node* two = NewNode();
  Point(one->next, two);
  Point(two->next, two);
  Point(two->other, one);
  DropRoot(two);
  DropRoot(NewNode());
  Actor other;
  other.Do([=] { AddRoot(two); });
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
}

TEST_F(VerifierTest, ColourOfAnotherKindIsFound) {
  Header* header = Header::Of(NewNode());
  header->SetColour(internal::kLeafColour);
  ExpectFault("has colour 255");
  header->SetColour(1);
  Header* leaf = Header::Of(New<object::test::Number>());
  leaf->SetColour(1);
  ExpectFault("has colour 1 ");
  leaf->SetColour(internal::kTrivialLeafColour);
}

TEST_F(VerifierTest, FaultOfTheMemoryBelowIsFound) {
  Node* node = NewNode();
  internal::Slab* slab = internal::SlabOf(Header::Of(node));
  heap_.space->PushAvailable(slab, false);
  ExpectFault("a slab is at two places");
}

TEST_F(VerifierTest, MarkedEdgesAreEdges) {
  MarkedHolder* holder = New<MarkedHolder>();
  Node* node = NewNode();
  AddRoot(node);
  holder->edge.Store(Ref<Node>::FromOwned(node), 3);
  EXPECT_TRUE(Verify(space()).ok()) << Verify(space());
  AddEdge(node);
  ExpectFault("2 edges counted, 1 found");
  DropEdge(node);
}

TEST_F(VerifierTest, EdgeThatIsNotThereIsFound) {
  AddEdge(NewNode());
  ExpectFault("1 edges counted, 0 found");
}

TEST_F(VerifierTest, EdgeThatIsNotCountedIsFound) {
  Node* one = NewNode();
  Node* two = NewNode();
  const_cast<internal::Edge&>(internal::EdgeAccess::Of(one->next)).cell().store(two);
  ExpectFault("0 edges counted, 1 found");
}

TEST_F(VerifierTest, LivingObjectWithoutReferencesIsFound) {
  Node* node = NewNode();
  Header::Of(node)->SetLocal(internal::CurrentSlot()->me());
  ExpectFault("counts 0 + 0 in a living object");
}

TEST_F(VerifierTest, EdgeToWhatIsNoObjectIsFound) {
  Node* node = NewNode();
  static char elsewhere[64];
  auto& edge = const_cast<internal::Edge&>(internal::EdgeAccess::Of(node->next));
  edge.cell().store(elsewhere + 32);
  ExpectFault("no object of this heap");
  edge.cell().store(nullptr);
}

TEST_F(VerifierTest, WrongSlabAccountingIsFound) {
  Node* node = NewNode();
  internal::Slab* slab = internal::SlabOf(Header::Of(node));
  slab->used.fetch_add(1);
  ExpectFault("counts 2 blocks in use, headers say 1");
  slab->used.fetch_sub(1);
  EXPECT_TRUE(Verify(space()).ok());
}

TEST_F(VerifierTest, ObjectHalfMadeOrHalfGoneIsFound) {
  Header* header = Header::Of(NewNode());
  for (const Stage stage : {Stage::kBuilding, Stage::kDestroying}) {
    header->SetStage(stage);
    ExpectFault("at rest in stage");
  }
  header->SetStage(Stage::kLive);
  header->SetShared(internal::kSharedInit | internal::kDead);
  ExpectFault("DEAD in stage LIVE");
}

}  // namespace
}  // namespace reef::collector::test
