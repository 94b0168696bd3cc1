// WeakKeyMap: entries live as long as their keys, whatever their values refer to.
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/weak_key_map_support.h"

namespace reef {
namespace {

using test::Leaf;
using test::Life;
using test::Lives;
using test::Node;
using test::WeakKeyMapTest;

TEST_F(WeakKeyMapTest, EntriesLiveAsLongAsTheirKeys) {
  Ref<Node> key = MakeNode();
  const Ref<Node> other = MakeNode();
  leaves_.Set(key, MakeLeaf(7));
  EXPECT_EQ(leaves_.Find(key)->number, 7);
  EXPECT_FALSE(leaves_.Find(other));
  EXPECT_EQ(leaves_.size(), 1u);
  EXPECT_EQ(WeakCount(key), 1u);
  (void)heap_->Collect();
  EXPECT_EQ(leaves_.Find(key)->number, 7) << "held by nothing but its key";
  EXPECT_TRUE(heap_->Verify().ok());
  key.Reset();
  EXPECT_EQ(lives_.now(), 1) << "a counted death drops the value at once";
  EXPECT_TRUE(leaves_.empty());
}

TEST_F(WeakKeyMapTest, WhatItGivesUpIsDroppedAtOnce) {
  const Ref<Node> key = MakeNode();
  leaves_.Set(key, MakeLeaf(1));
  leaves_.Set(key, MakeLeaf(2));
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_EQ(leaves_.Find(key)->number, 2);
  EXPECT_TRUE(leaves_.Erase(key));
  EXPECT_FALSE(leaves_.Erase(key));
  EXPECT_EQ(lives_.now(), 1);
  leaves_.Set(key, MakeLeaf(3));
  leaves_.Set(key, nullptr);
  EXPECT_EQ(lives_.now(), 1);
  leaves_.Set(key, MakeLeaf(4));
  EXPECT_EQ(leaves_.Take(key)->number, 4);
  EXPECT_FALSE(leaves_.Take(key));
  leaves_.Set(key, MakeLeaf(5));
  leaves_.clear();
  EXPECT_EQ(lives_.now(), 1);
  EXPECT_FALSE(leaves_.Find(key));
  {
    WeakKeyMap<Node, Leaf> shorter;
    shorter.Set(key, MakeLeaf(6));
    leaves_.Set(key, MakeLeaf(8));
    EXPECT_EQ(lives_.now(), 3);
  }
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_EQ(leaves_.Find(key)->number, 8) << "the maps of one key do not meet";
}

TEST_F(WeakKeyMapTest, AnEmptyKeyMapsNothing) {
  leaves_.Set(nullptr, MakeLeaf());
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_FALSE(leaves_.Find(nullptr));
  EXPECT_FALSE(leaves_.Erase(nullptr));
  EXPECT_FALSE(leaves_.Take(nullptr));
  int made = 0;
  EXPECT_FALSE(leaves_.FindOrMake(nullptr, [&] {
    ++made;
    return MakeLeaf();
  }));
  EXPECT_EQ(made, 0);
  EXPECT_TRUE(leaves_.empty());
}

TEST_F(WeakKeyMapTest, FindOrMakeMakesOnce) {
  const Ref<Node> key = MakeNode();
  int made = 0;
  const auto make = [&] {
    ++made;
    return MakeLeaf(made);
  };
  const Ref<Leaf> first = leaves_.FindOrMake(key, make);
  EXPECT_EQ(leaves_.FindOrMake(key, make), first);
  EXPECT_EQ(made, 1);
  leaves_.clear();
  EXPECT_THROW((void)leaves_.FindOrMake(key, []() -> Ref<Leaf> { throw 1; }), int);
  EXPECT_FALSE(leaves_.FindOrMake(key, []() -> Ref<Leaf> { return nullptr; }));
  EXPECT_FALSE(leaves_.Find(key));
  // Another was faster while this one was made: that one stays.
  const Ref<Leaf> found = leaves_.FindOrMake(key, [&] {
    leaves_.Set(key, first);
    return MakeLeaf(99);
  });
  EXPECT_EQ(found, first);
}

// The promise that Python's WeakKeyDictionary does not make.
TEST_F(WeakKeyMapTest, ValueThatRefersToItsKeyDoesNotKeepIt) {
  {
    const Ref<Node> key = MakeNode();
    Ref<Node> value = MakeNode();
    value->next = key;
    nodes_.Set(key, std::move(value));
    (void)heap_->Collect();
    EXPECT_EQ(nodes_.Find(key)->next.get(), key.get());
  }
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_GE(heap_->Collect().objects, 2u);
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(nodes_.empty());
}

TEST_F(WeakKeyMapTest, NorDoesOneThatIsItsOwnValue) {
  {
    const Ref<Node> key = MakeNode();
    nodes_.Set(key, key);
    EXPECT_EQ(nodes_.Find(key), key);
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(WeakKeyMapTest, NorDoesAGraphThroughEntriesOfOtherMaps) {
  WeakKeyMap<Node, Node> back;
  {
    const Ref<Node> one = MakeNode(1);
    const Ref<Node> two = MakeNode(2);
    const Ref<Node> three = MakeNode(3);
    nodes_.Set(one, two);
    two->next = three;
    back.Set(three, one);
    nodes_.Set(three, two);
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 3);
  }
  const Ref<Node> bystander = MakeNode(4);
  back.Set(bystander, MakeNode(5));
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 2);
  EXPECT_EQ(back.Find(bystander)->number, 5);
  EXPECT_TRUE(nodes_.empty());
  EXPECT_EQ(back.size(), 1u);
}

TEST_F(WeakKeyMapTest, KeysThatHangOnAReachableValueLive) {
  const Ref<Node> root = MakeNode();
  {
    Ref<Node> key = root;
    for (int i = 0; i < 100; ++i) {
      Ref<Node> value = MakeNode(i);
      nodes_.Set(key, value);
      key = std::move(value);
    }
  }
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(heap_->Collect().objects, 0u);
    int length = 0;
    for (Ref<Node> at = nodes_.Find(root); at; at = nodes_.Find(at)) ++length;
    EXPECT_EQ(length, 100);
  }
}

// A chain of entries, each value the next one's key, dies as a list does: on a small stack, and
// each value once.
TEST_F(WeakKeyMapTest, LongChainsDieWithoutRecursion) {
  const int64_t length = static_cast<int64_t>(test::Sized(1'000'000, 20'000));
  Ref<Node> first = MakeNode();
  {
    Ref<Node> key = first;
    for (int64_t i = 1; i < length; ++i) {
      Ref<Node> value = MakeNode();
      nodes_.Set(key, value);
      key = std::move(value);
    }
  }
  EXPECT_EQ(lives_.now(), length);
  first.Reset();
  EXPECT_EQ(lives_.now(), 0) << "in one statement";
  EXPECT_EQ(lives_.ended(), length);
  EXPECT_TRUE(nodes_.empty());
}

TEST_F(WeakKeyMapTest, LongChainsOfGarbageDieWithoutRecursion) {
  const int64_t length = static_cast<int64_t>(test::Sized(300'000, 20'000));
  {
    const Ref<Node> first = MakeNode();
    Ref<Node> key = first;
    for (int64_t i = 1; i < length; ++i) {
      Ref<Node> value = MakeNode();
      nodes_.Set(key, value);
      key = std::move(value);
    }
    nodes_.Set(key, first);
  }
  EXPECT_EQ(lives_.now(), length);
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(lives_.ended(), length);
}

struct Noisy {
  Noisy(std::vector<std::string>* own_log, std::string own_name)
      : log(own_log), name(std::move(own_name)) {}
  ~Noisy() { log->push_back("destroyed " + name); }
  void Trace(Visitor& v) const { v.Visit(part); }
  void Finalize(Ref<Noisy>) { log->push_back("finalized " + name); }
  std::vector<std::string>* log;
  std::string name;
  Member<Noisy> part;
};

// The value goes where the key's members go: after finalizer, callbacks and destructor.
TEST_F(WeakKeyMapTest, ValuesGoAfterTheKeysDestructor) {
  std::vector<std::string> log;
  WeakKeyMap<Noisy, Noisy> map;
  Ref<Noisy> key = heap_->Make<Noisy>(&log, "key");
  map.Set(key, heap_->Make<Noisy>(&log, "value"));
  const WeakCallback<Noisy> callback(key, [&log] { log.emplace_back("callback"); });
  key.Reset();
  const std::vector<std::string> expected = {"finalized key", "callback", "destroyed key",
                                             "finalized value", "destroyed value"};
  EXPECT_EQ(log, expected);
}

struct Resurrecting {
  explicit Resurrecting(Ref<Resurrecting>* own_place) : place(own_place) {}
  void Trace(Visitor&) const {}
  void Finalize(Ref<Resurrecting> self) { *place = std::move(self); }
  Ref<Resurrecting>* place;
};

TEST_F(WeakKeyMapTest, ResurrectedKeysKeepTheirEntries) {
  Ref<Resurrecting> saved;
  WeakKeyMap<Resurrecting, Leaf> map;
  Ref<Resurrecting> key = heap_->Make<Resurrecting>(&saved);
  map.Set(key, MakeLeaf(3));
  key.Reset();
  ASSERT_TRUE(saved);
  EXPECT_EQ(map.Find(saved)->number, 3);
  saved.Reset();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(map.empty());
}

// An object that owns a map is as any other: its end ends the entries.
struct Owner {
  explicit Owner(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Member<Owner> self;
  WeakKeyMap<Node, Node> map;
};

TEST_F(WeakKeyMapTest, MapsInsideManagedObjectsEndWithThem) {
  const Ref<Node> key = MakeNode();
  {
    Ref<Owner> owner = heap_->Make<Owner>(lives_);
    owner->map.Set(key, MakeNode());
  }
  EXPECT_EQ(lives_.now(), 1);
  {
    const Ref<Owner> owner = heap_->Make<Owner>(lives_);
    owner->self = owner;
    owner->map.Set(key, MakeNode());
    const Ref<Node> inner = MakeNode();
    owner->map.Set(inner, inner);
  }
  EXPECT_EQ(lives_.now(), 4);
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 1);
}

struct Reentrant {
  void Trace(Visitor&) const {}
  explicit Reentrant(WeakKeyMap<Reentrant, Reentrant>* own_map) : map(own_map) {}
  ~Reentrant() {
    EXPECT_FALSE(map->Find(other));
    map->Prune();
    (void)map->size();
    if (other) map->Set(other, other);
  }
  WeakKeyMap<Reentrant, Reentrant>* map;
  Ref<Reentrant> other;
};

// No lock is held while a value dies: its destructor may use the map, the same shard too.
TEST_F(WeakKeyMapTest, DestructorsOfValuesMayUseTheMap) {
  WeakKeyMap<Reentrant, Reentrant> map;
  const Ref<Reentrant> key = heap_->Make<Reentrant>(&map);
  for (int how = 0; how < 3; ++how) {
    Ref<Reentrant> value = heap_->Make<Reentrant>(&map);
    value->other = heap_->Make<Reentrant>(&map);
    map.Set(key, std::move(value));
    if (how == 0) map.Set(key, key);
    if (how == 1) (void)map.Erase(key);
    if (how == 2) map.clear();
  }
  map.clear();
  (void)heap_->Collect();
  EXPECT_TRUE(map.empty());
}

TEST_F(WeakKeyMapTest, VisitsTheLivingAndMayBeChangedMeanwhile) {
  std::vector<Ref<Node>> keys;
  for (int i = 0; i < 100; ++i) {
    keys.push_back(MakeNode(i));
    leaves_.Set(keys.back(), MakeLeaf(i));
  }
  for (size_t i = 0; i < 100; i += 2) keys[i].Reset();
  std::set<int> seen;
  leaves_.ForEach([&](const Ref<Node>& key, const Ref<Leaf>& value) {
    EXPECT_EQ(key->number, value->number);
    seen.insert(key->number);
    EXPECT_TRUE(leaves_.Erase(key));
  });
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_TRUE(leaves_.empty());
  EXPECT_EQ(lives_.now(), 50);
}

TEST_F(WeakKeyMapTest, DeadEntriesDoNotPileUp) {
  for (int i = 0; i < 10'000; ++i) leaves_.Set(MakeNode(), MakeLeaf());
  EXPECT_EQ(lives_.now(), 0);
  const uint64_t cells = DefaultHeap().Stats().raw_blocks;
  EXPECT_LT(cells, 2'000u);
  leaves_.Prune();
  EXPECT_LT(DefaultHeap().Stats().raw_blocks, cells);
}

TEST_F(WeakKeyMapTest, ManyMapsOnOneKeyLeaveNothingOnIt) {
  const Ref<Node> key = MakeNode();
  leaves_.Set(key, MakeLeaf());
  (void)heap_->Collect();
  const uint64_t before = heap_->Stats().live_objects;
  for (int i = 0; i < 1000; ++i) {
    WeakKeyMap<Node, Leaf> map;
    map.Set(key, MakeLeaf());
  }
  EXPECT_EQ(heap_->Stats().live_objects, before);
  EXPECT_TRUE(heap_->Verify().ok());
}

struct Big {
  void Trace(Visitor& v) const { v.Visit(next); }
  char bytes[300'000];
  Member<Big> next;
};

TEST_F(WeakKeyMapTest, LargeKeysHaveThemToo) {
  WeakKeyMap<Big, Big> map;
  {
    const Ref<Big> key = heap_->Make<Big>();
    const Ref<Big> value = heap_->Make<Big>();
    value->next = key;
    map.Set(key, value);
    (void)heap_->Collect();
    EXPECT_EQ(map.Find(key), value);
  }
  EXPECT_GE(heap_->Collect().objects, 2u);
  EXPECT_TRUE(map.empty());
}

// A key whose destructor has the heap collected by another thread.
struct Slow {
  Slow(Heap& own_heap, Lives& own_lives) : heap(own_heap), lives(own_lives) {}
  ~Slow() {
    std::thread([this] { (void)heap.Collect(); }).join();
    EXPECT_EQ(lives.now(), 2) << "held by a hidden edge of what is being destroyed, and no other";
  }
  void Trace(Visitor&) const {}
  Heap& heap;
  Lives& lives;
};

TEST_F(WeakKeyMapTest, ValuesOfADyingKeyAreKeptUntilItsDestructorEnds) {
  WeakKeyMap<Slow, Node> map;
  Ref<Slow> key = heap_->Make<Slow>(*heap_, lives_);
  Ref<Node> value = MakeNode();
  value->next = MakeNode();
  map.Set(key, std::move(value));
  key.Reset();
  EXPECT_EQ(lives_.now(), 0);
}

}  // namespace
}  // namespace reef
