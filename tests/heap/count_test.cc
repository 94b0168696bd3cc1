// Counting at its edges: many references to one object, references on many threads, and when the
// destructor runs.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;
using test::RunThreads;

struct Box {
  Box(Lives& lives, int number) : life(lives), value(number) {}
  Life life;
  int value;
};

struct Parent {
  void Trace(Visitor& v) const { v.Visit(child, children); }
  Member<Box> child;
  Vector<Box> children;
};

using CountTest = test::QuietHeapTest;

TEST_F(CountTest, EveryCountUpToThreeThousandIsExact) {
  const Ref<Box> box = heap_->Make<Box>(lives_, 1);
  std::vector<Ref<Box>> copies;
  for (int64_t n = 1; n <= 3000; ++n) {
    copies.push_back(box);
    ASSERT_EQ(RefCount(box), n + 2);
  }
  for (int64_t n = 2999; n >= 0; --n) {
    copies.pop_back();
    ASSERT_EQ(RefCount(box), n + 2);
  }
}

TEST_F(CountTest, HundredThousandRootsAndBack) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  std::vector<Ref<Box>> copies(100'000, box);
  EXPECT_EQ(RefCount(box), 100'002);
  box.Reset();
  EXPECT_EQ(RefCount(copies.front()), 100'001);
  while (copies.size() > 1) copies.pop_back();
  EXPECT_EQ(RefCount(copies.front()), 2);
  EXPECT_EQ(lives_.ended(), 0);
  copies.clear();
  EXPECT_EQ(lives_.ended(), 1);
}

TEST_F(CountTest, HundredThousandEdgesAndBack) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  const Ref<Parent> parent = heap_->Make<Parent>();
  for (int i = 0; i < 100'000; ++i) parent->children.push_back(box);
  EXPECT_EQ(RefCount(box), 100'002);
  box.Reset();
  while (parent->children.size() > 1) parent->children.pop_back();
  EXPECT_EQ(RefCount(Ref<Box>(parent->children.front())), 2);
  EXPECT_EQ(lives_.ended(), 0);
  parent->children.clear();
  EXPECT_EQ(lives_.ended(), 1);
}

TEST_F(CountTest, RootsTurnedIntoEdgesBeyondTheLocalCountStayExact) {
  const Ref<Box> box = heap_->Make<Box>(lives_, 1);
  const Ref<Parent> parent = heap_->Make<Parent>();
  std::vector<Ref<Box>> roots(5000, box);
  for (Ref<Box>& root : roots) parent->children.push_back(std::move(root));
  EXPECT_EQ(RefCount(box), 5002);
  for (size_t i = 0; i < roots.size(); ++i) {
    roots[i] = parent->children[i].Take();
    ASSERT_EQ(RefCount(box), 5002);
  }
  roots.clear();
  EXPECT_EQ(RefCount(box), 2);
}

#if !REEF_IS_CHECKED
TEST_F(CountTest, MoreRootsThanTheFieldHoldsNeverFreeEarly) {
  // 2^25 roots fit; what lies beyond may keep the object for good, so it is the default heap's.
  static Lives lives;
  Ref<Box> box = Make<Box>(lives, 77);
  {
    const std::vector<Ref<Box>> copies((size_t{1} << 25) + 300'000, box);
    EXPECT_EQ(lives.ended(), 0);
  }
  EXPECT_EQ(lives.ended(), 0);
  EXPECT_EQ(box->value, 77);
  const Ref<Box> copy = box;  // NOLINT(performance-unnecessary-copy-initialization)
  box.Reset();
  EXPECT_EQ(lives.ended(), 0);
  EXPECT_EQ(copy->value, 77);
}
#endif

TEST_F(CountTest, LastDropDestroysBeforeTheStatementEnds) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  box.Reset();
  EXPECT_EQ(lives_.ended(), 1);

  box = heap_->Make<Box>(lives_, 2);
  box = heap_->Make<Box>(lives_, 3);
  EXPECT_EQ(lives_.ended(), 2);
  box = nullptr;
  EXPECT_EQ(lives_.ended(), 3);

  EXPECT_EQ(heap_->Make<Box>(lives_, 4)->value, 4);
  EXPECT_EQ(lives_.ended(), 4);
  { const Ref<Box> scoped = heap_->Make<Box>(lives_, 5); }
  EXPECT_EQ(lives_.ended(), 5);
  try {
    const Ref<Box> unwound = heap_->Make<Box>(lives_, 6);
    throw std::runtime_error("unwind");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(lives_.ended(), 6);
  }

  const Ref<Parent> parent = heap_->Make<Parent>();
  parent->child = heap_->Make<Box>(lives_, 7);
  parent->child = heap_->Make<Box>(lives_, 8);
  EXPECT_EQ(lives_.ended(), 7);
  parent->child.Reset();
  EXPECT_EQ(lives_.ended(), 8);
  parent->child = heap_->Make<Box>(lives_, 9);
  (void)parent->child.Take();
  EXPECT_EQ(lives_.ended(), 9);
}

TEST_F(CountTest, LastDropDestroysOnTheDroppingThread) {
  struct Witness {
    explicit Witness(std::thread::id* out) : place(out) {}
    ~Witness() { *place = std::this_thread::get_id(); }
    std::thread::id* place;
  };
  std::thread::id place;
  (void)heap_->Make<Witness>(&place);
  EXPECT_EQ(place, std::this_thread::get_id());
}

TEST_F(CountTest, CopiesMadeAndDroppedElsewhereLeaveTheCountExact) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  RunThreads(4, [&](int) {
    for (int i = 0; i < 20'000; ++i) {
      const Ref<Box> copy = box;
      const Ref<Box> second = copy;  // NOLINT(performance-unnecessary-copy-initialization)
      ASSERT_EQ(second->value, 1);
    }
  });
  EXPECT_EQ(RefCount(box), 2);
  box.Reset();
  EXPECT_EQ(lives_.ended(), 1);
}

TEST_F(CountTest, CopiesCountedHereAndDroppedElsewhereAreTakenBack) {
  const Ref<Box> box = heap_->Make<Box>(lives_, 1);
  for (int round = 0; round < 20; ++round) {
    std::vector<Ref<Box>> copies(4000, box);
    RunThreads(4, [&](int thread) {
      for (size_t i = static_cast<size_t>(thread); i < copies.size(); i += 4) copies[i].Reset();
    });
    // One of them may wait, for a moment, to be taken from the count of this thread.
    ASSERT_TRUE(Eventually([&] { return RefCount(box) == 2; })) << RefCount(box);
  }
  EXPECT_EQ(lives_.ended(), 0);
}

TEST_F(CountTest, RefsMadeElsewhereKeepTheObjectWhenItsMakerLetsGo) {
  Ref<Box> box = heap_->Make<Box>(lives_, 9);
  std::vector<Ref<Box>> theirs(8);
  RunThreads(8, [&](int i) { theirs[static_cast<size_t>(i)] = box; });
  EXPECT_EQ(RefCount(box), 10);
  box.Reset();
  EXPECT_EQ(lives_.ended(), 0);
  EXPECT_EQ(RefCount(theirs[0]), 9);
  RunThreads(8, [&](int i) { theirs[static_cast<size_t>(i)].Reset(); });
  EXPECT_TRUE(Eventually([&] { return lives_.ended() == 1; }));
}

TEST_F(CountTest, LastDropElsewhereNeedsNoHelpFromTheMaker) {
  std::promise<std::vector<Ref<Box>>> handed;
  std::latch release(1);
  std::thread maker([&] {
    std::vector<Ref<Box>> boxes;
    for (int i = 0; i < 1000; ++i) boxes.push_back(heap_->Make<Box>(lives_, i));
    handed.set_value(std::move(boxes));
    release.wait();  // the maker sleeps from here on
  });
  std::vector<Ref<Box>> boxes = handed.get_future().get();
  boxes.clear();
  EXPECT_TRUE(Eventually([&] { return lives_.ended() == 1000; })) << lives_.ended();
  release.count_down();
  maker.join();
}

TEST_F(CountTest, ObjectsOfAnEndedThreadAreCountedOn) {
  std::vector<Ref<Box>> boxes;
  std::thread([&] {
    for (int i = 0; i < 1000; ++i) boxes.push_back(heap_->Make<Box>(lives_, i));
  }).join();
  for (const Ref<Box>& box : boxes) ASSERT_EQ(RefCount(box), 2);
  const std::vector<Ref<Box>> copies = boxes;
  boxes.clear();
  EXPECT_EQ(lives_.ended(), 0);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(copies[static_cast<size_t>(i)]->value, i);
}

TEST_F(CountTest, ManyShortThreadsLeaveNothingBehind) {
  std::vector<Ref<Box>> kept;
  for (int round = 0; round < 300; ++round) {
    std::thread([&] {
      Ref<Box> temporary = heap_->Make<Box>(lives_, round);
      kept.push_back(heap_->Make<Box>(lives_, round));
      if (kept.size() > 10) kept.erase(kept.begin());
    }).join();
  }
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 10; })) << lives_.now();
  kept.clear();
}

TEST_F(CountTest, SharedObjectDiesOnItsReceiverAtOnce) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  Ref<Box> shared = std::move(box).Share();
  EXPECT_EQ(RefCount(shared), 2);
  int64_t ended = -1;
  std::thread([&, received = std::move(shared)]() mutable {
    EXPECT_EQ(RefCount(received), 2);
    received.Reset();
    ended = lives_.ended();
  }).join();
  EXPECT_EQ(ended, 1);
}

TEST_F(CountTest, ShareOfAnObjectInUseChangesNothing) {
  const Ref<Box> keeper = heap_->Make<Box>(lives_, 1);
  Ref<Box> copy = keeper;
  const Ref<Box> shared = std::move(copy).Share();
  EXPECT_EQ(RefCount(keeper), 3);
  EXPECT_EQ(shared, keeper);
  EXPECT_EQ(std::move(Ref<Box>()).Share(), nullptr);
}

TEST_F(CountTest, AdoptedObjectIsCountedByItsReceiver) {
  Ref<Box> box;
  std::thread([&] { box = heap_->Make<Box>(lives_, 1).Share(); }).join();
  box = std::move(box).Adopt();
  EXPECT_EQ(RefCount(box), 2);
  {
    const std::vector<Ref<Box>> copies(3000, box);
    EXPECT_EQ(RefCount(box), 3002);
  }
  EXPECT_EQ(RefCount(box), 2);
  box.Reset();
  EXPECT_EQ(lives_.ended(), 1);
}

TEST_F(CountTest, AdoptOfAnObjectInUseChangesNothing) {
  Ref<Box> box;
  std::thread([&] { box = heap_->Make<Box>(lives_, 1).Share(); }).join();
  const Ref<Box> keeper = box;
  box = std::move(box).Adopt();
  EXPECT_EQ(RefCount(keeper), 3);
  EXPECT_EQ(std::move(Ref<Box>()).Adopt(), nullptr);
}

TEST_F(CountTest, BiasHandedRoundARingOfThreadsLosesNoCount) {
  Ref<Box> box = heap_->Make<Box>(lives_, 1);
  for (int round = 0; round < 500; ++round) {
    box = std::move(box).Share();
    std::thread([&] {
      box = std::move(box).Adopt();
      const Ref<Box> copy = box;
      ASSERT_EQ(RefCount(box), 3);
    }).join();
    ASSERT_EQ(RefCount(box), 2);
  }
}

}  // namespace
}  // namespace reef
