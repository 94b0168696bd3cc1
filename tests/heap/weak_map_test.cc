// Containers of weak handles: entries go with their objects, also while an iteration looks.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Image {
  Image(Lives& lives, std::string own_name) : life(lives), name(std::move(own_name)) {}
  Life life;
  std::string name;
};

class WeakMapTest : public test::QuietHeapTest {
 protected:
  Ref<Image> MakeImage(const std::string& name) { return heap_->Make<Image>(lives_, name); }
  WeakValueMap<std::string, Image> map_;
};

TEST_F(WeakMapTest, FindsTheLivingOnly) {
  Ref<Image> image = MakeImage("a");
  map_.Set("a", image);
  EXPECT_EQ(map_.Find("a"), image);
  EXPECT_FALSE(map_.Find("b"));
  EXPECT_EQ(map_.size(), 1u);
  image.Reset();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_FALSE(map_.Find("a"));
  EXPECT_TRUE(map_.empty());
}

TEST_F(WeakMapTest, SetReplacesAndAnEmptyRefErases) {
  const Ref<Image> one = MakeImage("one");
  const Ref<Image> two = MakeImage("two");
  map_.Set("key", one);
  map_.Set("key", two);
  EXPECT_EQ(map_.Find("key"), two);
  EXPECT_EQ(WeakCount(one), 0u);
  map_.Set("key", nullptr);
  EXPECT_FALSE(map_.Find("key"));
  map_.Set("key", one);
  EXPECT_TRUE(map_.Erase("key"));
  EXPECT_FALSE(map_.Erase("key"));
}

TEST_F(WeakMapTest, FindOrMakeMakesOnce) {
  int made = 0;
  const auto make = [this, &made] {
    ++made;
    return MakeImage("x");
  };
  Ref<Image> first = map_.FindOrMake("x", make);
  EXPECT_EQ(map_.FindOrMake("x", make), first);
  EXPECT_EQ(made, 1);
  first.Reset();
  EXPECT_TRUE(map_.FindOrMake("x", make));
  EXPECT_EQ(made, 2);
  EXPECT_THROW((void)map_.FindOrMake("y", []() -> Ref<Image> { throw 1; }), int);
  EXPECT_FALSE(map_.Find("y"));
}

TEST_F(WeakMapTest, DeadEntriesDoNotPileUp) {
  const Ref<Image> kept = MakeImage("kept");
  for (int i = 0; i < 10'000; ++i) map_.Set(std::to_string(i), MakeImage("dead"));
  map_.Set("kept", kept);
  // Dead handles keep their cells: those left are what the containers have not pruned.
  const uint64_t cells = DefaultHeap().Stats().raw_blocks;
  EXPECT_LT(cells, 2'000u);
  map_.Prune();
  EXPECT_LT(DefaultHeap().Stats().raw_blocks, cells);
  EXPECT_EQ(map_.Find("kept"), kept);
}

TEST_F(WeakMapTest, VisitsTheLivingAndMayBeChangedMeanwhile) {
  std::vector<Ref<Image>> images;
  for (int i = 0; i < 100; ++i) {
    images.push_back(MakeImage(std::to_string(i)));
    map_.Set(std::to_string(i), images.back());
  }
  for (size_t i = 0; i < 100; i += 2) images[i].Reset();
  std::set<std::string> seen;
  map_.ForEach([&](const std::string& key, const Ref<Image>& image) {
    EXPECT_EQ(key, image->name);
    seen.insert(key);
    (void)map_.Erase(key);
  });
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_TRUE(map_.empty());
}

TEST_F(WeakMapTest, SetIsByIdentity) {
  WeakSet<Image> set;
  Ref<Image> one = MakeImage("same");
  const Ref<Image> two = MakeImage("same");
  EXPECT_TRUE(set.Insert(one));
  EXPECT_FALSE(set.Insert(one));
  EXPECT_TRUE(set.Insert(two));
  EXPECT_TRUE(set.Contains(one));
  EXPECT_EQ(set.size(), 2u);
  one.Reset();
  size_t seen = 0;
  set.ForEach([&](const Ref<Image>& ref) {
    EXPECT_EQ(ref, two);
    ++seen;
  });
  EXPECT_EQ(seen, 1u);
  EXPECT_TRUE(set.Erase(two));
  EXPECT_FALSE(set.Erase(two));
  EXPECT_FALSE(set.Insert(nullptr));
}

// Published objects are destroyed a grace period after they have died.
TEST_F(WeakMapTest, ErasesNoDeadObjectThatWaits) {
  Ref<Image> image = MakeImage("a");
  AtomicRef<Image> published(image);
  map_.Set("a", image);
  WeakSet<Image> set;
  EXPECT_TRUE(set.Insert(image));
  image.Reset();
  {
    const ReadScope scope;
    published.Store(nullptr);
    EXPECT_EQ(lives_.now(), 1);
    EXPECT_FALSE(map_.Find("a"));
    EXPECT_LE(map_.size(), 1u);
    EXPECT_FALSE(map_.Erase("a"));
    EXPECT_TRUE(map_.empty());
    int seen = 0;
    set.ForEach([&seen](const Ref<Image>& /*image*/) { ++seen; });
    EXPECT_EQ(seen, 0);
  }
  (void)heap_->Collect();
  EXPECT_TRUE(set.empty());
}

TEST_F(WeakMapTest, InsertLeavesTheLivingWhereTheyAre) {
  const Ref<Image> one = MakeImage("one");
  const Ref<Image> two = MakeImage("two");
  EXPECT_TRUE(map_.Insert("key", MakeImage("dead")));
  EXPECT_TRUE(map_.Insert("key", one));
  EXPECT_FALSE(map_.Insert("key", two));
  EXPECT_FALSE(map_.Insert("key", one)) << "it was there already";
  EXPECT_FALSE(map_.Insert("other", nullptr));
  EXPECT_EQ(map_.Find("key"), one);
  EXPECT_EQ(WeakCount(two), 0u);
  EXPECT_EQ(map_.size(), 1u);
}

TEST_F(WeakMapTest, FactoryThatMakesNothing) {
  EXPECT_FALSE(map_.FindOrMake("a", [] { return Ref<Image>(); }));
  EXPECT_TRUE(map_.empty());
}

TEST_F(WeakMapTest, LookingForAnObjectMakesNoCell) {
  WeakSet<Image> set;
  const Ref<Image> image = MakeImage("a");
  const uint64_t cells = DefaultHeap().Stats().raw_blocks;
  EXPECT_FALSE(set.Contains(image));
  EXPECT_FALSE(set.Erase(image));
  EXPECT_FALSE(set.Contains(nullptr));
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, cells);
  EXPECT_EQ(WeakCount(image), 0u);
  EXPECT_TRUE(set.Insert(image));
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, cells + 1);
}

}  // namespace
}  // namespace reef
