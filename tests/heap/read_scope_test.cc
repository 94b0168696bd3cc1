// ReadScope: nesting; TryRef: upgrades of peeked pointers under fire.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
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

struct Leaf {
  Leaf(Lives& lives, size_t number) : life(lives), index(number) {}
  ~Leaf() { index = ~size_t{0}; }
  Life life;
  size_t index;
};
struct Traced : Leaf {
  using Leaf::Leaf;
  void Trace(Visitor& v) const { v.Visit(back); }
  AtomicMember<Traced> back;
};

class ReadScopeTest : public test::QuietHeapTest {
 protected:
  // Another thread drops what `cell` holds, and asks for everything that the engine can do about
  // it.
  void DropElsewhere(AtomicRef<Leaf>& cell) {
    std::thread([&] {
      cell.Store(nullptr);
      EXPECT_TRUE(heap_->TryCollect().ok());
    }).join();
  }
};

TEST_F(ReadScopeTest, ScopesEndInAnyOrder) {
  for (const bool first_ends_first : {true, false}) {
    AtomicRef<Leaf> cell(heap_->Make<Leaf>(lives_, size_t{1}));
    std::optional<ReadScope> first;
    std::optional<ReadScope> second;
    first.emplace();
    const Leaf* seen = cell.Peek(*first);
    second.emplace();
    (first_ends_first ? first : second).reset();
    DropElsewhere(cell);
    EXPECT_EQ(seen->index, 1u) << "one of the two is still open";
    EXPECT_EQ(lives_.now(), 1);
    first.reset();
    second.reset();
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
  }
}

TEST_F(ReadScopeTest, OnlyTheOutermostOfManyCounts) {
  AtomicRef<Leaf> cell(heap_->Make<Leaf>(lives_, size_t{1}));
  std::vector<std::unique_ptr<ReadScope>> scopes;
  for (int i = 0; i < 1000; ++i) scopes.push_back(std::make_unique<ReadScope>());
  const Leaf* seen = cell.Peek(*scopes.front());
  scopes.resize(1);
  for (int i = 0; i < 100; ++i) const ReadScope inner;
  DropElsewhere(cell);
  EXPECT_EQ(seen->index, 1u);
  EXPECT_FALSE(heap_->TryCollect().ok()) << "refused inside a scope";
  scopes.clear();
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
  EXPECT_TRUE(heap_->TryCollect().ok());
}

TEST_F(ReadScopeTest, PeekedObjectThatWasReplacedIsUpgradedWhileOthersHoldIt) {
  AtomicRef<Leaf> cell(heap_->Make<Leaf>(lives_, size_t{1}));
  const ReadScope scope;
  Leaf* const seen = cell.Peek(scope);
  Ref<Leaf> held;
  std::thread([&] { held = cell.Exchange(nullptr); }).join();
  EXPECT_EQ(TryRef(scope, seen), held);
  EXPECT_EQ(RefCount(held), 2);
  std::thread([&] { held.Reset(); }).join();
  // The reference may have been counted here (it was made here) and be pending: until it is gone
  // the object lives. Afterwards it never does again.
  EXPECT_TRUE(Eventually([&] { return TryRef(scope, seen) == nullptr; }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(TryRef(scope, seen), nullptr);
  EXPECT_EQ(seen->index, 1u);
}

// Cells whose targets come from every thread, are dropped by every thread, upgraded by every
// thread, and re-attached after the upgrade, while collections run. For each object it is recorded
// that an upgrade has failed; none may succeed later. What lives is whole.
template <typename T>
class UpgradeTest : public test::QuietHeapTest {
 protected:
  static constexpr size_t kCells = 4;
  static constexpr int kThreads = 4;

  void Work(size_t thread) {
    std::mt19937_64 random(seed_ + thread);
    std::array<Ref<T>, 4> held;
    for (size_t step = 0; step < steps_; ++step) {
      const size_t draw = test::Below(random, 8);
      AtomicRef<T>& cell = cells_[test::Below(random, kCells)];
      if (draw == 0) {
        Ref<T> fresh = heap_->template Make<T>(lives_, thread * steps_ + step);
        // Of its maker alone, given up, or counted by several.
        if (random() % 2 == 0) fresh = std::move(fresh).Share();
        if (random() % 2 == 0) held[test::Below(random, held.size())] = fresh;
        cell.Store(std::move(fresh));
      } else if (draw == 1) {
        cell.Store(nullptr);
        held[test::Below(random, held.size())].Reset();
      } else {
        Upgrade(random, cell, held);
      }
    }
  }

  void Upgrade(std::mt19937_64& random, AtomicRef<T>& cell, std::array<Ref<T>, 4>& held) {
    const ReadScope scope;
    T* const seen = cell.Peek(scope);
    if (seen == nullptr) return;
    const size_t index = seen->index;
    ASSERT_LT(index, gone_.size());
    for (int tries = 0; tries < 3; ++tries) {
      // Acquire, before the upgrade: a failure that is seen here came first.
      const bool gone = gone_[index].load(std::memory_order_acquire);
      Ref<T> ref = TryRef(scope, seen);
      if (ref) {
        ASSERT_FALSE(gone) << "null did not stay null";
        Attach(random, ref);
        if (random() % 2 == 0) {
          cells_[test::Below(random, kCells)].Store(std::move(ref));
        } else {
          held[test::Below(random, held.size())] = std::move(ref);
        }
      } else {
        gone_[index].store(true, std::memory_order_release);
      }
      ASSERT_EQ(seen->index, index) << "whole as long as the scope is open";
      if (random() % 2 == 0) cell.Store(nullptr);
    }
  }
  // A traced object may be in a cycle with itself, or hold another one.
  void Attach(std::mt19937_64& random, const Ref<T>& ref) {
    if constexpr (std::is_same_v<T, Traced>) {
      if (random() % 4 == 0) ref->back.Store(random() % 2 == 0 ? ref : cells_[0].Load());
      if (random() % 8 == 0) ref->back.Store(nullptr);
    }
  }

  const uint64_t seed_ = test::Seed();
  const size_t steps_ = test::Sized(40'000, 3'000);
  std::array<AtomicRef<T>, kCells> cells_;
  std::vector<std::atomic<bool>> gone_ = std::vector<std::atomic<bool>>(kThreads * steps_);
};
using Targets = ::testing::Types<Leaf, Traced>;
TYPED_TEST_SUITE(UpgradeTest, Targets);

TYPED_TEST(UpgradeTest, NullStaysNullAndTheLivingAreWhole) {
  SCOPED_TRACE(test::SeedNote(this->seed_));
  {
    const test::ConstantCollector collector(*this->heap_);
    test::RunThreads(this->kThreads, [this](int i) { this->Work(static_cast<size_t>(i)); });
  }
  for (auto& cell : this->cells_) cell.Store(nullptr);
  size_t failed = 0;
  for (const std::atomic<bool>& gone : this->gone_) failed += gone.load() ? 1 : 0;
  EXPECT_GT(failed, 0u) << "the race was never met";
}

}  // namespace
}  // namespace reef
