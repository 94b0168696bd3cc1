// Null is final, whichever thread sees it first: traced objects that die by counts and in cycles,
// and leaves, whose counts and locks need no collector.
#include <array>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <random>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  ~Leaf() { alive.store(false); }
  Life life;
  std::atomic<bool> alive{true};
};
struct Node : Leaf {
  using Leaf::Leaf;
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Node> next;
};

template <typename T>
class WeakFinalTest : public test::QuietHeapTest {
 protected:
  static constexpr size_t kPlaces = 8;
  struct Place {
    Ref<T> strong;
    Weak<T> weak;
    std::atomic<bool> null_seen{false};  // by any thread
  };
  using Places = std::array<Place, kPlaces>;

  void Fill(Places& places) {
    for (size_t i = 0; i < kPlaces; ++i) {
      places[i].strong = heap_->Make<T>(lives_);
      places[i].weak = places[i].strong;
      if constexpr (std::is_same_v<T, Node>) {
        // Every other one a cycle.
        places[i].strong->next = i % 2 == 0 ? places[i].strong : heap_->Make<T>(lives_);
      }
    }
  }
  static void LockOrDrop(std::mt19937_64& random, Places& places,
                         std::array<Ref<T>, kPlaces>& held) {
    const size_t at = test::Below(random, kPlaces);
    Place& place = places[at];
    if (random() % 3 == 0) return held[at].Reset();
    const bool null_seen = place.null_seen.load();
    Ref<T> locked = place.weak.Lock();
    if (!locked) {
      place.null_seen.store(true);
      return;
    }
    ASSERT_FALSE(null_seen) << "null turned non-null";
    ASSERT_TRUE(locked->alive.load()) << "its destructor has begun";
    if (random() % 4 == 0) held[at] = std::move(locked);
  }
};

using Kinds = ::testing::Types<Leaf, Node>;
TYPED_TEST_SUITE(WeakFinalTest, Kinds);

TYPED_TEST(WeakFinalTest, UnderDropsAndCollections) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  constexpr int kThreads = 4;
  const size_t rounds = test::Sized(300, 20);
  const test::ConstantCollector collector(*this->heap_);
  typename WeakFinalTest<TypeParam>::Places places;
  std::barrier turn(kThreads);
  test::RunThreads(kThreads, [&](int self) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(self));
    std::array<Ref<TypeParam>, WeakFinalTest<TypeParam>::kPlaces> held;
    for (size_t round = 0; round < rounds; ++round) {
      if (self == 0) {
        for (auto& place : places) place.null_seen.store(false);
        this->Fill(places);
      }
      turn.arrive_and_wait();
      for (int step = 0; step < 400; ++step) {
        // The last roots beside what the threads hold go one by one.
        if (self == 0 && step % 8 == 0) places[static_cast<size_t>(step / 8) % 8].strong.Reset();
        this->LockOrDrop(random, places, held);
        if (this->HasFatalFailure()) break;
      }
      for (auto& ref : held) ref.Reset();
      turn.arrive_and_wait();
    }
  });
}

}  // namespace
}  // namespace reef
