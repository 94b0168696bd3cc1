// Retired objects: published ones wait for the scopes that were open, and no longer.
#include "lib/object/retired.h"

#include <atomic>
#include <cstdint>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object::test {
namespace {

class RetiredTest : public ObjectTest {
 protected:
  Node* NewPublished() {
    Node* node = Make<Node>(&ends_);
    (void)Header::Of(node)->SetFlags(internal::kPublished);
    return node;
  }
  static void ReclaimAll() {
    for (int i = 0; i < 10; ++i) (void)ReclaimRetired(CurrentSlot());
  }
};

TEST_F(RetiredTest, PublishedObjectIsRetiredByItsLastDrop) {
  Node* node = NewPublished();
  const uint64_t bytes = internal::SlabOf(Header::Of(node))->block_bytes;
  DropRoot(node);
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(StageOf(node), Stage::kDying);
  EXPECT_EQ(RetiredBytes(), bytes);
  EXPECT_NE(Counts::Of(node).flags & internal::kDead, 0u);
  ReclaimAll();
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(RetiredBytes(), 0u);
}

TEST_F(RetiredTest, ObjectThatWasNotPublishedDiesAtOnce) {
  DropRoot(Make<Node>(&ends_));
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(RetiredBytes(), 0u);
}

TEST_F(RetiredTest, RetiredObjectWaitsForAnOpenScope) {
  Actor reader;
  reader.Do([] { threads::test::OpenScope(CurrentSlot()); });
  Node* node = NewPublished();
  DropRoot(node);
  ReclaimAll();
  EXPECT_EQ(ends_, 0);
  EXPECT_TRUE(ReclaimRetired(CurrentSlot()));
  EXPECT_EQ(node->ends, &ends_) << "may still be read";
  reader.Do([] { threads::test::CloseScope(CurrentSlot()); });
  ReclaimAll();
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(ReclaimRetired(CurrentSlot()));
}

TEST_F(RetiredTest, LaterBatchWaitsForItsOwnGracePeriod) {
  Actor reader;
  DropRoot(NewPublished());
  reader.Do([] { threads::test::OpenScope(CurrentSlot()); });
  (void)ReclaimRetired(CurrentSlot());
  DropRoot(NewPublished());
  ReclaimAll();
  EXPECT_EQ(ends_, 0) << "the scope was open when the first period began";
  reader.Do([] {
    threads::test::CloseScope(CurrentSlot());
    threads::test::OpenScope(CurrentSlot());
  });
  ReclaimAll();
  EXPECT_EQ(ends_, 1);
  reader.Do([] { threads::test::CloseScope(CurrentSlot()); });
  ReclaimAll();
  EXPECT_EQ(ends_, 2);
}

TEST_F(RetiredTest, ListsOfAllThreadsAreGathered) {
  Actor actors[2];
  for (Actor& actor : actors) actor.Do([this] { DropRoot(NewPublished()); });
  DropRoot(NewPublished());
  EXPECT_EQ(ends_, 0);
  ReclaimAll();
  EXPECT_EQ(ends_, 3);
}

TEST_F(RetiredTest, RetiringThreadReclaimsWhenItHasRetiredMuch) {
  const uint64_t bytes = internal::SlabOf(Header::Of(NewPublished()))->block_bytes;
  const uint64_t count = 3 * kRetiredBytes / bytes;
  for (uint64_t i = 0; i < count; ++i) DropRoot(NewPublished());
  EXPECT_GE(ends_, static_cast<int>(count / 2)) << "nobody else reclaims here";
  EXPECT_LE(RetiredBytes(), 2 * kRetiredBytes);
}

TEST_F(RetiredTest, DyingObjectStillOwnsItsEdges) {
  Node* node = NewPublished();
  Node* child = Make<Node>(&ends_);
  const_cast<internal::Edge&>(internal::EdgeAccess::Of(node->next)).Adopt(child);
  DropRoot(node);
  EXPECT_EQ(node->next.get(), child);
  EXPECT_EQ(StageOf(child), Stage::kLive);
  ReclaimAll();
  EXPECT_EQ(ends_, 2);
}

}  // namespace
}  // namespace reef::object::test
