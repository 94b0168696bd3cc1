// Containers of weak handles under many threads: what one of several threads must win, one wins.
#include <array>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <random>
#include <thread>
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
  Image(Lives& lives, uint64_t own_key) : life(lives), key(own_key) {}
  Life life;
  const uint64_t key;
  std::atomic<int> entered{0};
};

constexpr int kThreads = 4;

class WeakMapThreadsTest : public test::QuietHeapTest {
 protected:
  Ref<Image> MakeImage(uint64_t key) { return heap_->Make<Image>(lives_, key); }
};

// Two threads, object by object, so that they meet.
TEST_F(WeakMapThreadsTest, EachObjectIsInsertedAndErasedOnce) {
  const size_t objects = test::Sized(50'000, 2'000);
  WeakSet<Image> set;
  std::array<std::vector<bool>, 2> inserted;
  std::array<std::vector<bool>, 2> erased;
  std::vector<Ref<Image>> images;
  for (uint64_t i = 0; i < objects; ++i) images.push_back(MakeImage(i));
  std::atomic<size_t> arrived{0};
  test::RunThreads(2, [&](int self) {
    const auto me = static_cast<size_t>(self);
    size_t met = 0;
    const auto meet = [&] {
      met += 2;
      arrived.fetch_add(1);
      while (arrived.load() < met) std::this_thread::yield();
    };
    for (const Ref<Image>& image : images) {
      meet();
      inserted[me].push_back(set.Insert(image));
      ASSERT_TRUE(set.Contains(image));
      meet();
      erased[me].push_back(set.Erase(image));
    }
  });
  for (size_t i = 0; i < objects; ++i) {
    ASSERT_NE(inserted[0][i], inserted[1][i]) << i;
    ASSERT_NE(erased[0][i], erased[1][i]) << i;
  }
  EXPECT_TRUE(set.empty());
}

TEST_F(WeakMapThreadsTest, AllGetTheObjectThatIsEnteredFirst) {
  const size_t rounds = test::Sized(2000, 200);
  WeakValueMap<uint64_t, Image> map;
  std::array<Ref<Image>, kThreads> got;
  std::array<bool, kThreads> won{};
  std::barrier turn(kThreads);
  test::RunThreads(kThreads, [&](int self) {
    const auto me = static_cast<size_t>(self);
    for (uint64_t round = 0; round < rounds; ++round) {
      turn.arrive_and_wait();
      // Half of them by a function each.
      Ref<Image> mine = MakeImage(round);
      if (self % 2 == 0) {
        got[me] = map.FindOrMake(round, [&] { return mine; });
        won[me] = got[me] == mine;
      } else {
        won[me] = map.Insert(round, mine);
        got[me] = won[me] ? mine : map.Find(round);
      }
      turn.arrive_and_wait();
      int winners = 0;
      for (size_t i = 0; i < kThreads; ++i) {
        winners += won[i] ? 1 : 0;
        ASSERT_EQ(got[i], got[0]);
      }
      ASSERT_EQ(winners, 1);
      turn.arrive_and_wait();
      got[me].Reset();
    }
  });
}

// Every function at once, on entries that die all the time: what is found belongs to its key, and
// what one thread alone enters and keeps it finds.
TEST_F(WeakMapThreadsTest, EverythingAtOnce) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t steps = test::Sized(30'000, 3'000);
  constexpr uint64_t kKeys = 64;
  WeakValueMap<uint64_t, Image> map;
  WeakSet<Image> set;
  std::atomic<size_t> found{0};
  const test::ConstantCollector collector(*heap_);
  test::RunThreads(kThreads, [&](int self) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(self));
    // Keys of this thread alone begin here.
    const uint64_t own = 1000 * static_cast<uint64_t>(self + 1);
    std::array<Ref<Image>, 8> mine;
    std::vector<Ref<Image>> held(8);
    const auto check = [&](uint64_t key, const Ref<Image>& image) {
      if (!image) return;
      ASSERT_EQ(image->key, key);
      found.fetch_add(1, std::memory_order_relaxed);
    };
    for (size_t i = 0; i < steps; ++i) {
      const uint64_t key = test::Below(random, kKeys);
      Ref<Image>& place = held[test::Below(random, held.size())];
      const size_t which = test::Below(random, mine.size());
      switch (random() % 16) {
        case 0:
          map.Set(key, place = MakeImage(key));
          break;
        case 1:
          place = map.FindOrMake(key, [&] { return MakeImage(key); });
          ASSERT_EQ(place->key, key);
          break;
        case 2:
          (void)map.Insert(key, MakeImage(key));
          break;
        case 3:
          (void)map.Erase(key);
          break;
        case 4:
          if (i % 64 == 0) map.Prune();
          break;
        case 5:
          ASSERT_LT(map.size(), kKeys + kThreads * mine.size() + 1);
          break;
        case 6:
          if (i % 16 == 0) map.ForEach(check);
          break;
        case 7:
          if (place) (void)set.Insert(place);
          break;
        case 8:
          if (place) (void)set.Erase(place);
          break;
        case 9:
          if (i % 16 == 0) set.ForEach([](const Ref<Image>& image) { ASSERT_TRUE(image); });
          break;
        case 10:  // its own
          ASSERT_EQ(map.Erase(own + which), static_cast<bool>(mine[which]));
          mine[which].Reset();
          break;
        case 11: {
          Ref<Image> fresh = MakeImage(own + which);
          ASSERT_EQ(map.Insert(own + which, fresh), !mine[which]);
          if (!mine[which]) mine[which] = std::move(fresh);
          ASSERT_EQ(set.Insert(mine[which]), mine[which]->entered.exchange(1) == 0);
          break;
        }
        case 12:
          ASSERT_EQ(map.Find(own + which), mine[which]);
          break;
        case 13:
          place.Reset();
          break;
        default:
          check(key, map.Find(key));
      }
    }
  });
  EXPECT_GT(found.load(), 0u);
  map.clear();
  map.Prune();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(map.empty());
}

// clear() empties every shard: what is entered after it, and only that, is there.
TEST_F(WeakMapThreadsTest, ClearedWhileOthersEnter) {
  WeakValueMap<uint64_t, Image> map;
  const size_t steps = test::Sized(3000, 500);
  std::atomic<bool> done{false};
  const Ref<Image> image = MakeImage(0);
  test::RunThreads(kThreads, [&](int self) {
    if (self == 0) {
      while (!done.load()) map.clear();
      return;
    }
    const uint64_t base = static_cast<uint64_t>(self) << 32;
    for (uint64_t i = 0; i < steps; ++i) {
      map.Set(base + i, image);
      const Ref<Image> seen = map.Find(base + i);
      ASSERT_TRUE(!seen || seen == image);
    }
    if (self == 1) done.store(true);
  });
  map.clear();
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(WeakCount(image), 0u) << "handles that nobody has";
}

}  // namespace
}  // namespace reef
