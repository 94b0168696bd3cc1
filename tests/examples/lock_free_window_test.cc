// The windows of the ordered set and the hash map, met every time: their keys' comparisons call the
// test, which does there what another thread might do at that moment.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "gtest/gtest.h"

#include "docs/examples/lock_free/hash_map.h"
#include "docs/examples/lock_free/ordered_set.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

// Runs once, when the key that is looked for is next compared with that of a node.
class Hook {
 public:
  void Set(int node, int wanted, std::function<void()> action) {
    node_ = node;
    wanted_ = wanted;
    action_ = std::move(action);
  }
  void Meet(int node, int wanted) {
    if (action_ && node == node_ && wanted == wanted_) std::exchange(action_, nullptr)();
  }
  bool waits() const { return static_cast<bool>(action_); }

 private:
  int node_ = 0;
  int wanted_ = 0;
  std::function<void()> action_;
};
Hook g_hook;

// The set asks whether its node's key is less than the one that it looks for.
struct HookedLess {
  bool operator()(int node, int wanted) const {
    g_hook.Meet(node, wanted);
    return node < wanted;
  }
};

class SetWindowTest : public test::QuietHeapTest {
 protected:
  void SetUp() override {
    for (const int key : {10, 20, 30, 40}) ASSERT_TRUE(set_->Insert(key));
  }
  void TearDown() override {
    EXPECT_FALSE(g_hook.waits()) << "the window was not met";
    set_.Reset();
    QuietHeapTest::TearDown();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
  }

  using Set = lock_free::OrderedSet<int, HookedLess>;
  Ref<Set> set_ = heap_->Make<Set>(*heap_);
};

TEST_F(SetWindowTest, ContainsStandsOnANodeThatIsCutOff) {
  g_hook.Set(20, 40, [this] { ASSERT_TRUE(set_->Remove(20)); });
  EXPECT_TRUE(set_->Contains(40)) << "it was there all the time";
}

TEST_F(SetWindowTest, ContainsStandsOnNodesThatAreCutOffAndReplaced) {
  g_hook.Set(20, 40, [this] {
    ASSERT_TRUE(set_->Remove(20));
    ASSERT_TRUE(set_->Remove(30));
    ASSERT_TRUE(set_->Remove(10));
    ASSERT_TRUE(set_->Insert(20));
  });
  EXPECT_TRUE(set_->Contains(40));
  EXPECT_TRUE(set_->Contains(20));
  EXPECT_FALSE(set_->Contains(30));
}

TEST_F(SetWindowTest, InsertStandsOnANodeThatIsCutOff) {
  g_hook.Set(20, 25, [this] { ASSERT_TRUE(set_->Remove(20)); });
  EXPECT_TRUE(set_->Insert(25));
  for (const int key : {10, 25, 30, 40}) EXPECT_TRUE(set_->Contains(key)) << key;
  EXPECT_FALSE(set_->Contains(20));
}

TEST_F(SetWindowTest, RemoveStandsOnANodeThatIsCutOff) {
  g_hook.Set(20, 40, [this] { ASSERT_TRUE(set_->Remove(20)); });
  EXPECT_TRUE(set_->Remove(40)) << "it was there all the time";
  EXPECT_FALSE(set_->Contains(40));
}

TEST_F(SetWindowTest, SuccessorOfWhatIsInsertedIsRemovedAndDead) {
  g_hook.Set(30, 25, [this] { ASSERT_TRUE(set_->Remove(30)); });
  EXPECT_TRUE(set_->Insert(25));
  for (const int key : {10, 20, 25, 40}) EXPECT_TRUE(set_->Contains(key)) << key;
  EXPECT_FALSE(set_->Contains(30));
}

TEST_F(SetWindowTest, AnotherKeyComesBetween) {
  g_hook.Set(30, 25, [this] { ASSERT_TRUE(set_->Insert(22)); });
  EXPECT_TRUE(set_->Insert(25));
  for (const int key : {10, 20, 22, 25, 30, 40}) EXPECT_TRUE(set_->Contains(key)) << key;
}

TEST_F(SetWindowTest, SameKeyComesFirst) {
  g_hook.Set(30, 25, [this] { ASSERT_TRUE(set_->Insert(25)); });
  EXPECT_FALSE(set_->Insert(25));
  EXPECT_TRUE(set_->Remove(25));
  EXPECT_FALSE(set_->Remove(25));
}

TEST_F(SetWindowTest, WhatIsRemovedIsRemovedByAnotherFirst) {
  g_hook.Set(30, 30, [this] { ASSERT_TRUE(set_->Remove(30)); });
  EXPECT_FALSE(set_->Remove(30));
  EXPECT_TRUE(set_->Insert(30));
}

TEST_F(SetWindowTest, WhatIsRemovedWasReplacedByItsLike) {
  g_hook.Set(30, 30, [this] {
    ASSERT_TRUE(set_->Remove(30));
    ASSERT_TRUE(set_->Insert(30));
  });
  EXPECT_TRUE(set_->Remove(30)) << "the new one";
  EXPECT_FALSE(set_->Contains(30));
}

TEST_F(SetWindowTest, PredecessorOfWhatIsRemovedIsCutOff) {
  g_hook.Set(30, 30, [this] { ASSERT_TRUE(set_->Remove(20)); });
  EXPECT_TRUE(set_->Remove(30));
  EXPECT_FALSE(set_->Contains(30)) << "marked, if still linked";
  for (const int key : {10, 40}) EXPECT_TRUE(set_->Contains(key)) << key;
}

// Keys that meet in one branch of the map: the first four bits of their hashes agree, or all.
struct HookedKey {
  int number;
  bool operator==(const HookedKey& other) const {
    g_hook.Meet(number, other.number);  // a leaf's key and the one that is looked for
    return number == other.number;
  }
};
struct Value {
  int number;
};

template <int kDifferent>
struct HookedHash {
  size_t operator()(const HookedKey& key) const {
    return static_cast<size_t>(key.number % kDifferent);
  }
};

// 1: all keys have one hash; 1000: none two.
template <typename Hash>
class MapWindowTest : public test::QuietHeapTest {
 protected:
  void SetUp() override {
    for (int number = 0; number < kKeys; ++number) Set(number, number);
  }
  void TearDown() override {
    EXPECT_FALSE(g_hook.waits()) << "the window was not met";
    map_.Reset();
    QuietHeapTest::TearDown();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
  }
  void Set(int key, int value) { map_->Set(HookedKey{key}, heap_->Make<Value>(value)); }
  int Get(int key) {
    const Ref<Value> value = map_->Get(HookedKey{key});
    return value ? value->number : -1;
  }
  void RemoveAll() {
    for (int number = 0; number < kKeys; ++number) (void)map_->Remove(HookedKey{number});
  }

  static constexpr int kKeys = 40;
  using Map = lock_free::HashMap<HookedKey, Value, Hash>;
  Ref<Map> map_ = heap_->template Make<Map>(*heap_);
};
using Hashes = ::testing::Types<HookedHash<1000>, HookedHash<8>, HookedHash<1>>;
TYPED_TEST_SUITE(MapWindowTest, Hashes);

// The branch in which the leaf hangs is frozen, and gone, when the exchange comes.
TYPED_TEST(MapWindowTest, BranchContractsUnderAnExchange) {
  for (int key = 0; key < this->kKeys; ++key) {
    this->SetUp();
    g_hook.Set(key, key, [this] { this->RemoveAll(); });
    this->Set(key, 1000 + key);
    ASSERT_EQ(this->Get(key), 1000 + key) << "an exchange was lost";
    for (int other = 0; other < this->kKeys; ++other) {
      if (other != key) {
        ASSERT_EQ(this->Get(other), -1);
      }
    }
    this->RemoveAll();
  }
  (void)this->heap_->Collect();
  EXPECT_EQ(this->heap_->Stats().live_objects, 1u) << "the map and no branch";
}

TYPED_TEST(MapWindowTest, BranchContractsAndGrowsAgainUnderAnExchange) {
  for (int key = 0; key < this->kKeys; ++key) {
    g_hook.Set(key, key, [this] {
      this->RemoveAll();
      this->SetUp();
    });
    this->Set(key, 1000 + key);
    for (int other = 0; other < this->kKeys; ++other) {
      ASSERT_EQ(this->Get(other), other == key ? 1000 + key : other);
    }
    this->Set(key, key);
  }
}

TYPED_TEST(MapWindowTest, ValueThatIsExchangedIsExchangedByAnotherFirst) {
  for (int key = 0; key < this->kKeys; ++key) {
    g_hook.Set(key, key, [this, key] { this->Set(key, 500 + key); });
    const Ref<Value> former =
        this->map_->Exchange(HookedKey{key}, this->heap_->template Make<Value>(1000 + key));
    ASSERT_EQ(former->number, 500 + key);
    ASSERT_EQ(this->Get(key), 1000 + key);
  }
}

TYPED_TEST(MapWindowTest, WhatIsReadIsRemovedMeanwhile) {
  for (int key = 0; key < this->kKeys; ++key) {
    g_hook.Set(key, key, [this] { this->RemoveAll(); });
    ASSERT_EQ(this->Get(key), key) << "it was there when the call began";
    ASSERT_EQ(this->Get(key), -1);
    this->SetUp();
  }
}

}  // namespace
}  // namespace reef
