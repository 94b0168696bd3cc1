// Retired objects: published ones wait for the scopes that were open, and no longer.
#include "lib/object/retired.h"

#include <atomic>
#include <cstdint>

#include "gtest/gtest.h"

#include "lib/object/surplus.h"
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

// Where there is a finisher, a thread reclaims what it has retired itself, at once or when the
// grace period has passed, and nothing else.
class OwnRetiredTest : public RetiredTest {
 protected:
  OwnRetiredTest() {
    ActAsFinisher(true);
    AdmitSurplus();
  }
  ~OwnRetiredTest() override {
    RefuseSurplus();
    ActAsFinisher(false);
  }
  // As much as the bound, and on until it is crossed: by this thread's slot, whoever had it before.
  int RetireMuch() {
    const std::atomic<uint64_t>& retired = CurrentSlot()->retired_bytes;
    const uint64_t least = retired + kRetiredBytes;
    int count = 0;
    for (uint64_t before = retired;
         retired < least || retired / kRetiredBytes == before / kRetiredBytes; ++count) {
      before = retired;
      DropRoot(NewPublished());
    }
    return count;
  }
  Actor storing_;
};

TEST_F(OwnRetiredTest, LeavesAloneWhatOthersHaveRetired) {
  std::atomic<int> others{0};
  DropRoot([&] {
    Node* node = Make<Node>(&others);
    (void)Header::Of(node)->SetFlags(internal::kPublished);
    return node;
  }());
  int retired = 0;
  storing_.Do([&] { retired = RetireMuch(); });
  EXPECT_GE(ends_, retired - 1) << "the last one may have come after the bound";
  EXPECT_EQ(others, 0);
  ReclaimAll();
  EXPECT_EQ(others, 1);
  EXPECT_EQ(ends_, retired);
}

TEST_F(OwnRetiredTest, ABatchThatWaitsIsTakenLaterOrByTheCollectorThread) {
  Actor reader;
  for (const bool by_itself : {true, false}) {
    SCOPED_TRACE(by_itself);
    ends_ = 0;
    reader.Do([] { threads::test::OpenScope(CurrentSlot()); });
    int first = 0;
    storing_.Do([&] { first = RetireMuch(); });
    EXPECT_EQ(ends_, 0) << "may still be read";
    EXPECT_GE(RetiredBytes(), kRetiredBytes);
    EXPECT_TRUE(ReclaimRetired(CurrentSlot()) || by_itself);
    reader.Do([] { threads::test::CloseScope(CurrentSlot()); });
    int second = 0;
    if (by_itself) {
      storing_.Do([&] { second = RetireMuch(); });
      EXPECT_GT(ends_, 0);
    }
    ReclaimAll();
    EXPECT_EQ(ends_, first + second);
    EXPECT_EQ(RetiredBytes(), 0u);
  }
}

TEST_F(OwnRetiredTest, BytesAreCountedWhereverTheyWait) {
  Actor reader;
  reader.Do([] { threads::test::OpenScope(CurrentSlot()); });
  storing_.Do([&] { (void)RetireMuch(); });
  const uint64_t bytes = RetiredBytes();
  RecountRetired();  // as in the child of a fork
  EXPECT_EQ(RetiredBytes(), bytes);
  reader.Do([] { threads::test::CloseScope(CurrentSlot()); });
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
