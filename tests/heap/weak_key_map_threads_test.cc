// WeakKeyMap under many threads and a collector that never rests, with an oracle.
#include <atomic>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/weak_key_map_support.h"

namespace reef {
namespace {

using test::Node;
using test::WeakKeyMapTest;

// A fixed set of keys that come and go, and what each is mapped to: numbers, kept beside the map
// under a lock for each key, so that every look-up can be checked.
TEST_F(WeakKeyMapTest, ManyThreadsAgreeWithTheOracle) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t steps = test::Sized(20'000, 2'500);
  struct Place {
    std::mutex mutex;
    Ref<Node> key;
    int mapped = 0;  // 0: not
  };
  constexpr size_t kPlaces = 24;
  std::vector<Place> places(kPlaces);
  for (Place& place : places) place.key = MakeNode();
  std::atomic<int> next_number{1};
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(4, [&](int self) {
      std::mt19937_64 random(seed + static_cast<uint64_t>(self));
      for (size_t i = 0; i < steps; ++i) {
        Place& place = places[test::Below(random, kPlaces)];
        const size_t what = test::Below(random, 16);
        if (what == 0) {
          nodes_.ForEach([](const Ref<Node>& key, const Ref<Node>& value) {
            // Each value of this test refers to its key, or to nothing any more.
            ASSERT_TRUE(value->next.get() == key.get());
          });
          continue;
        }
        const std::lock_guard<std::mutex> lock(place.mutex);
        if (what < 5) {
          const int number = next_number.fetch_add(1);
          Ref<Node> value = MakeNode(number);
          value->next = place.key;
          nodes_.Set(place.key, std::move(value));
          place.mapped = number;
        } else if (what < 7) {
          ASSERT_EQ(nodes_.Erase(place.key), place.mapped != 0);
          place.mapped = 0;
        } else if (what < 9) {
          place.key = MakeNode();  // the old one is garbage, by a cycle if it was mapped
          place.mapped = 0;
        } else {
          const Ref<Node> found = nodes_.Find(place.key);
          ASSERT_EQ(found ? found->number : 0, place.mapped);
        }
      }
    });
  }
  size_t mapped = 0;
  for (const Place& place : places) mapped += place.mapped != 0 ? 1 : 0;
  (void)heap_->Collect();
  EXPECT_EQ(nodes_.size(), mapped);
  EXPECT_EQ(lives_.now(), static_cast<int64_t>(kPlaces + mapped)) << "and nothing else is left";
  EXPECT_TRUE(heap_->Verify().ok());
}

// Threads make and end maps on the same few keys, which die under them.
TEST_F(WeakKeyMapTest, MapsComeAndGoOnDyingKeys) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t rounds = test::Sized(2'000, 250);
  constexpr size_t kKeys = 4;
  std::vector<AtomicRef<Node>> keys(kKeys);
  for (AtomicRef<Node>& key : keys) key.Store(MakeNode());
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(3, [&](int self) {
      std::mt19937_64 random(seed + static_cast<uint64_t>(self));
      for (size_t i = 0; i < rounds; ++i) {
        WeakKeyMap<Node, Node> own;
        for (int j = 0; j < 8; ++j) {
          AtomicRef<Node>& place = keys[test::Below(random, kKeys)];
          if (j == 5) place.Store(MakeNode());
          const Ref<Node> key = place.Load();
          Ref<Node> value = MakeNode(self);
          value->next = key;
          (random() % 2 == 0 ? own : nodes_).Set(key, std::move(value));
          if (const Ref<Node> found = own.Find(key)) {
            ASSERT_EQ(found->number, self);
            ASSERT_EQ(found->next.get(), key.get());
          }
        }
      }
    });
  }
  for (AtomicRef<Node>& key : keys) key.Store(nullptr);
}

}  // namespace
}  // namespace reef
