// Atomic cells: what load, exchange and compare-exchange do to the counts, alone and in a crowd.
#include "reef/internal/published.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "reef/internal/marked_word.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this file is about headers

class PublishedTest : public ObjectTest {
 protected:
  Node* NewNode() { return Make<Node>(&ends_); }
  void* Exchange(void* payload) { return ExchangePublished(cell_, Kind::kExt, payload); }
  bool CompareExchange(Kind kind, void* expected, void* desired) {
    return CompareExchangePublished(cell_, kind, &expected, desired);
  }

  std::atomic<void*> cell_{nullptr};
};

TEST_F(PublishedTest, EmptyCellLoadsNull) { EXPECT_EQ(LoadPublished(cell_), nullptr); }

TEST_F(PublishedTest, ExchangeTakesTheRootOverAndPublishes) {
  Node* node = NewNode();
  EXPECT_EQ(Exchange(node), nullptr);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, kPublished}));
  EXPECT_EQ(Exchange(nullptr), node);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, kPublished})) << "handed back";
}

TEST_F(PublishedTest, LoadCountsARoot) {
  Node* node = NewNode();
  (void)Exchange(node);
  EXPECT_EQ(LoadPublished(cell_), node);
  EXPECT_EQ(Counts::Of(node), (Counts{2, 0, 0, 0, kPublished}));
  Actor other;
  other.Do([this] { EXPECT_NE(LoadPublished(cell_), nullptr); });
  EXPECT_EQ(Counts::Of(node), (Counts{2, 0, 1, 0, kPublished}));
}

TEST_F(PublishedTest, EdgeCellHoldsAnEdge) {
  Node* node = NewNode();
  EXPECT_EQ(ExchangePublished(cell_, Kind::kHeap, node), nullptr);
  EXPECT_EQ(Counts::Of(node), (Counts{0, 1, 0, 0, kPublished}));
  EXPECT_EQ(ExchangePublished(cell_, Kind::kHeap, nullptr), node);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, kPublished}));
}

TEST_F(PublishedTest, CompareExchangeReplacesWhatItExpected) {
  Node* one = NewNode();
  Node* two = NewNode();
  (void)Exchange(one);
  AddRoot(one);  // the caller's own
  EXPECT_TRUE(CompareExchange(Kind::kExt, one, two));
  EXPECT_EQ(cell_.load(), two);
  EXPECT_EQ(Counts::Of(one), (Counts{1, 0, 0, 0, kPublished}));
  EXPECT_EQ(Counts::Of(two), (Counts{1, 0, 0, 0, kPublished}));
}

TEST_F(PublishedTest, FailedCompareExchangeChangesNoCount) {
  Node* one = NewNode();
  Node* two = NewNode();
  (void)Exchange(one);
  for (const Kind kind : {Kind::kExt, Kind::kHeap}) {
    void* expected = nullptr;
    EXPECT_FALSE(CompareExchangePublished(cell_, kind, &expected, two));
    EXPECT_EQ(expected, one) << "what was there instead";
    EXPECT_EQ(cell_.load(), one);
    EXPECT_EQ(Counts::Of(one), (Counts{1, 0, 0, 0, kPublished}));
    EXPECT_EQ(Counts::Of(two), (Counts{1, 0, 0, 0, kPublished}));
  }
}

TEST_F(PublishedTest, EdgeCompareExchangeConverts) {
  Node* one = NewNode();
  Node* two = NewNode();
  (void)ExchangePublished(cell_, Kind::kHeap, one);
  AddRoot(one);
  EXPECT_TRUE(CompareExchange(Kind::kHeap, one, two));
  EXPECT_EQ(Counts::Of(one), (Counts{1, 0, 0, 0, kPublished}));
  EXPECT_EQ(Counts::Of(two), (Counts{0, 1, 0, 0, kPublished}));
}

TEST_F(PublishedTest, CompareExchangeNeedsNoCountOfWhatItExpects) {
  Node* one = NewNode();
  Node* two = NewNode();
  StorePublished(cell_, Kind::kHeap, one);
  EXPECT_EQ(Counts::Of(one), (Counts{0, 1, 0, 0, kPublished})) << "the cell's alone";
  EXPECT_TRUE(CompareExchange(Kind::kHeap, one, two));
  EXPECT_EQ(StageOf(one), Stage::kDying);
  EXPECT_EQ(Counts::Of(two), (Counts{0, 1, 0, 0, kPublished}));
  while (ReclaimRetired(CurrentSlot())) {
  }
  EXPECT_EQ(ends_, 1);
}

TEST_F(PublishedTest, StoreDropsTheFormerTarget) {
  for (const Kind kind : {Kind::kExt, Kind::kHeap}) {
    ends_ = 0;
    StorePublished(cell_, kind, NewNode());
    StorePublished(cell_, kind, nullptr);
    EXPECT_EQ(cell_.load(), nullptr);
    while (ReclaimRetired(CurrentSlot())) {
    }
    EXPECT_EQ(ends_, 1);
  }
}

TEST_F(PublishedTest, MarksAreComparedAndNotCounted) {
  Node* one = NewNode();
  Node* two = NewNode();
  StorePublished(cell_, Kind::kHeap, WithMark(one, 2));
  EXPECT_EQ(cell_.load(), WithMark(one, 2));
  EXPECT_EQ(Counts::Of(one), (Counts{0, 1, 0, 0, kPublished}));
  EXPECT_FALSE(CompareExchange(Kind::kHeap, one, two));
  EXPECT_FALSE(CompareExchange(Kind::kHeap, WithMark(one, 3), two));
  EXPECT_EQ(Counts::Of(one), (Counts{0, 1, 0, 0, kPublished}));
  EXPECT_EQ(Counts::Of(two), (Counts{1, 0, 0, 0, kPublished}));
  EXPECT_EQ(LoadPublished(cell_), WithMark(one, 2));
  EXPECT_EQ(Counts::Of(one), (Counts{1, 1, 0, 0, kPublished}));
  EXPECT_TRUE(CompareExchange(Kind::kHeap, WithMark(one, 2), WithMark(two, 1)));
  EXPECT_EQ(Counts::Of(one), (Counts{1, 0, 0, 0, kPublished}));
  EXPECT_EQ(ExchangePublished(cell_, Kind::kHeap, WithMark(nullptr, 3)), WithMark(two, 1));
  EXPECT_EQ(Counts::Of(two), (Counts{1, 0, 0, 0, kPublished}));
  EXPECT_EQ(LoadPublished(cell_), WithMark(nullptr, 3)) << "nothing, marked";
  StorePublished(cell_, Kind::kHeap, nullptr);
}

TEST_F(PublishedTest, ArmedCompareExchangeLogsBothTargetsAndNoMark) {
  Node* one = NewNode();
  Node* two = NewNode();
  StorePublished(cell_, Kind::kHeap, WithMark(one, 1));
  AddRoot(two);
  core_.black.store(2);
  const Armed armed(&core_);
  EXPECT_FALSE(CompareExchange(Kind::kHeap, one, two));
  EXPECT_EQ(TakeLogged(CurrentSlot()), (std::vector<void*>{})) << "nothing changed";
  EXPECT_TRUE(CompareExchange(Kind::kHeap, WithMark(one, 1), WithMark(two, 2)));
  EXPECT_EQ(TakeLogged(CurrentSlot()), (std::vector<void*>{two, one}));
  StorePublished(cell_, Kind::kHeap, nullptr);
}

TEST_F(PublishedTest, ArmedOperationsLogBothTargets) {
  Node* one = NewNode();
  Node* two = NewNode();
  (void)Exchange(one);
  core_.black.store(2);
  const Armed armed(&core_);
  EXPECT_EQ(Exchange(two), one);
  EXPECT_EQ(TakeLogged(CurrentSlot()), (std::vector<void*>{two, one}));
}

// Writers replace, readers load and read; every object dies once, and no reader sees one that has.
TEST_F(PublishedTest, LoadedObjectsAreAliveUnderContention) {
  constexpr int kReaders = 2;
  const int writes = static_cast<int>(500 * kScale);
  (void)Exchange(NewNode());
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kReaders; ++i) {
    threads.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        auto* node = static_cast<Node*>(LoadPublished(cell_));
        if (node->ends != &ends_ || StageOf(node) != Stage::kLive) ++wrong;
        DropRoot(node);
      }
    });
  }
  for (int i = 0; i < writes; ++i) {
    DropRoot(Exchange(NewNode()));
    if (i % 16 == 0) {
      (void)Settle();
      (void)ReclaimRetired(CurrentSlot());
    }
  }
  stop.store(true);
  for (auto& thread : threads) thread.join();
  DropRoot(Exchange(nullptr));
  while (Settle() || ReclaimRetired(CurrentSlot())) {
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(ends_, writes + 1);
}

}  // namespace
}  // namespace reef::object::test
