// Grasping: while the collector has an object in its grasp that object stays what it is, whatever
// the program does with it.
#include "lib/collector/grasp.h"

#include "gtest/gtest.h"

#include "lib/collector/housekeeping.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::Stage;

class GraspTest : public CollectorTest {
 protected:
  static constexpr uint8_t kBlack = 9;
};

// Section 13, Next life: were its destructor to run, its block might hold another object by the
// time that the finalizer or the root is taken.
TEST_F(GraspTest, GraspedObjectIsNotDestroyed) {
  Node* node = NewNode();
  bool called = false;
  {
    const threads::test::Armed armed(&core_);
    EXPECT_TRUE(Grasp(Header::Of(node), kBlack, [&](Header* header) {
      called = true;
      EXPECT_EQ(header, Header::Of(node));
      DropRoot(node);  // brought back by a weak handle meanwhile, and dropped again
      EXPECT_EQ(ends_, 0);
      EXPECT_EQ(StageOf(node), Stage::kDestroying);
      return true;
    }));
    EXPECT_TRUE(called);
    EXPECT_EQ(ends_, 0);
  }
  DestroyHandedOver();
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(node), Stage::kFree);
}

TEST_F(GraspTest, WhatDiedOrWasRebornBeforeIsLeftAlone) {
  Node* node = NewNode();
  DropRoot(node);
  const auto take = [](Header*) {
    ADD_FAILURE() << "taken";
    return true;
  };
  EXPECT_FALSE(Grasp(Header::Of(node), kBlack, take));
  core_.birth.store((uint64_t{kBlack} << internal::kColourShift) |
                    (static_cast<uint64_t>(Stage::kBuilding) << internal::kStageShift));
  ASSERT_EQ(NewNode(), node) << "the same block again";
  EXPECT_FALSE(Grasp(Header::Of(node), kBlack, take));
}

}  // namespace
}  // namespace reef::collector::test
