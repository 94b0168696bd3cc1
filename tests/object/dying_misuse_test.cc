// What checked builds say of objects that are dying: new references to them, and destructors that
// come back elsewhere.
#include "gtest/gtest.h"

#include "lib/object/dying.h"
#include "tests/object/support.h"

#if REEF_IS_CHECKED

namespace reef::object::test {
namespace {

using internal::kHomeSample;

class DyingMisuseTest : public ObjectTest {};

// Stores itself, as a root or as an edge, while it is destroyed.
struct Clinging {
  explicit Clinging(Kind my_kind) : kind(my_kind) {}
  ~Clinging() { internal::Increment(CurrentSlot(), Header::Of(this), kind); }
  void Trace(Visitor& /*visitor*/) const {}
  Kind kind;
};

TEST_F(DyingMisuseTest, NewReferenceToADyingObjectIsDiagnosed) {
  const char* const kMessage = "a new reference to an object that is being destroyed";
  auto* by_root = Make<Clinging>(Kind::kExt);
  auto* by_edge = Make<Clinging>(Kind::kHeap);
  CurrentSlot()->unsampled = kHomeSample;
  EXPECT_DEATH(DropRoot(by_root), kMessage);
  EXPECT_DEATH(DropRoot(by_edge), "a destructor must not store `this`");
  // The same before the destructor has begun, however the object died.
  for (const uint32_t unsampled : {kHomeSample, uint32_t{1}}) {
    Node* node = Make<Node>(&ends_);
    CurrentSlot()->unsampled = unsampled;
    CurrentSlot()->draining = true;  // what dies waits
    DropRoot(node);
    EXPECT_DEATH(AddRoot(node), kMessage);
    EXPECT_DEATH(AddEdge(node), kMessage);
    CurrentSlot()->draining = false;
    Drain(CurrentSlot());
  }
  EXPECT_EQ(ends_, 2);
}

TEST_F(DyingMisuseTest, ReferencesToUnfinishedAndToLivingObjectsAreFine) {
  Node* node = Make<Node>(&ends_);
  Header::Of(node)->SetStage(Stage::kBuilding);
  AddRoot(node);
  Header::Of(node)->SetStage(Stage::kLive);
  AddEdge(node);
  EXPECT_EQ(Counts::Of(node), (Counts{2, 1, 0, 0, 0}));
}

// As a destructor would that yields its fiber, which another thread then resumes.
struct Migrant {
  explicit Migrant(Slot* my_other) : other(my_other) {}
  ~Migrant() { internal::tls_slot = other; }
  Slot* other;
};

TEST_F(DyingMisuseTest, DestructorThatComesBackOnAnotherThreadIsDiagnosed) {
  threads::test::Actor other;
  Migrant* migrant = Make<Migrant>(other.slot());
  EXPECT_DEATH(DropRoot(migrant),
               "reef: the destructor of a managed object came back on another thread");
  Migrant* at_home = Make<Migrant>(CurrentSlot());
  DropRoot(at_home);
  EXPECT_EQ(StageOf(at_home), Stage::kFree);
  migrant->other = CurrentSlot();
  DropRoot(migrant);
}

}  // namespace
}  // namespace reef::object::test

#endif  // REEF_IS_CHECKED
