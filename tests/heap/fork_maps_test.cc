// fork and the containers of weak handles: the child uses maps that other threads were using, and
// their entries go with their objects there as anywhere. (At the fork no other thread is in one: a
// container's mutexes are like any of the program's.)

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/collector/step.h"
#include "reef/reef.h"
#include "tests/heap/fork_support.h"
#include "tests/heap/stepper.h"
#include "tests/heap/weak_key_map_support.h"

namespace reef {
namespace {

using test::EndOf;
using test::Lives;
using test::Node;
using test::StartChild;
using test::Step;
using test::Stepper;

class ForkMapsTest : public test::WeakKeyMapTest {
 protected:
  static constexpr int kMine = 50;
  static constexpr int64_t kObjects = 2 * int64_t{kMine};  // keys and values
  static constexpr size_t kPlaces = 64;

  void SetUp() override {
    for (int i = 0; i < kMine; ++i) {
      mine_.push_back(MakeNode(i));
      Ref<Node> value = MakeNode(1000 + i);
      value->next = mine_.back();
      nodes_.Set(mine_.back(), std::move(value));
      named_.Set(1000 + i, mine_.back());
      EXPECT_TRUE(set_.Insert(mine_.back()));
    }
  }

  // What a thread does all the time: keys of all threads come and go, with and without cycles.
  void Act(std::mt19937_64& random, Ref<Node>& held) {
    AtomicRef<Node>& place = places_[test::Below(random, kPlaces)];
    const int number = static_cast<int>(test::Below(random, kPlaces));
    switch (random() % 8) {
      case 0:
        place.Store(held = MakeNode(number));
        break;
      case 1:
        place.Store(nullptr);
        break;
      case 2:
        if (const Ref<Node> key = place.Load()) {
          Ref<Node> value = MakeNode(key->number);
          if (random() % 2 == 0) value->next = key;
          nodes_.Set(key, std::move(value));
        }
        break;
      case 3:
        if (const Ref<Node> key = place.Load()) (void)nodes_.Erase(key);
        break;
      case 4:
        held = named_.FindOrMake(number, [&] { return MakeNode(number); });
        break;
      case 5:
        if (held) (void)set_.Insert(held);
        break;
      case 6:
        if (held) named_.Set(held->number, held);
        break;
      default:
        if (held) (void)set_.Erase(held);
    }
  }

  // In the child: all there is to do with a map, by any number of threads.
  void CheckEntries() {
    for (int i = 0; i < kMine; ++i) {
      const Ref<Node>& key = mine_[static_cast<size_t>(i)];
      const Ref<Node> value = nodes_.Find(key);
      CHILD_CHECK(value && value->number == 1000 + i && value->next == key);
      CHILD_CHECK(named_.Find(1000 + i) == key);
      CHILD_CHECK(set_.Contains(key));
    }
    int seen = 0;
    nodes_.ForEach([&seen](const Ref<Node>& key, const Ref<Node>& value) {
      CHILD_CHECK(value->number == key->number || value->next == key);
      ++seen;
    });
    CHILD_CHECK(seen >= kMine);
    named_.ForEach([](int number, const Ref<Node>& node) {
      CHILD_CHECK(node->number == number || node->number + 1000 == number);
    });
  }
  // Entries of lost threads' keys, too, are replaced and erased.
  void ReplaceEntries() {
    Lives lives;
    for (AtomicRef<Node>& place : places_) {
      const Ref<Node> key = place.Load();
      if (!key) continue;
      nodes_.Set(key, heap_->Make<Node>(lives, key->number));
      CHILD_CHECK(nodes_.Find(key)->number == key->number);
      CHILD_CHECK(nodes_.Erase(key) && !nodes_.Find(key));
    }
    CHILD_CHECK(lives.now() == 0);
    for (int i = 0; i < 200; ++i) {
      const Ref<Node> key = heap_->Make<Node>(lives, i);
      Ref<Node> value = heap_->Make<Node>(lives, i);
      if (i % 2 == 0) value->next = key;
      nodes_.Set(key, std::move(value));
      named_.Set(2000 + i, key);
      CHILD_CHECK(set_.Insert(key));
    }
    CHILD_CHECK(lives.now() == 200);  // those without a cycle are gone
    (void)heap_->Collect();
    CHILD_CHECK(lives.now() == 0);
    CHILD_CHECK(!named_.Find(2000));
  }
  void ClearAll() {
    const Weak<Node> value = nodes_.Find(mine_.front());
    nodes_.clear();
    named_.clear();
    set_.clear();
    CHILD_CHECK(nodes_.empty() && named_.empty() && set_.empty());
    CHILD_CHECK(!value.Lock());
    CHILD_CHECK(named_.FindOrMake(1, [&] { return mine_[1]; }) == mine_[1]);
    CHILD_CHECK(WeakCount(mine_[1]) == 1);
  }

  std::vector<Ref<Node>> mine_;
  std::array<AtomicRef<Node>, kPlaces> places_;
  WeakValueMap<int, Node> named_;
  WeakSet<Node> set_;
};

TEST_F(ForkMapsTest, ChildUsesMapsThatOtherThreadsWereUsing) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  constexpr size_t kThreads = 3;
  std::array<std::mutex, kThreads> at_work;  // each held by its thread while it is in a map
  std::atomic<bool> done{false};
  std::atomic<uint64_t> steps{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(seed + i);
      Ref<Node> held;
      while (!done.load()) {
        const std::lock_guard<std::mutex> lock(at_work[i]);
        Act(random, held);
        steps.fetch_add(1);
      }
    });
  }
  const size_t rounds = test::Sized(10, 3);
  {
    const test::ConstantCollector collector(*heap_);
    for (size_t round = 1; round <= rounds; ++round) {
      ASSERT_TRUE(test::Eventually([&] { return steps.load() >= round * 2000; }));
      for (std::mutex& mutex : at_work) mutex.lock();
      const pid_t pid = StartChild([&] {
        CheckEntries();
        std::thread([&] { CheckEntries(); }).join();
        ReplaceEntries();
        CheckEntries();
        ClearAll();
      });
      for (std::mutex& mutex : at_work) mutex.unlock();
      EXPECT_EQ(EndOf(pid), "exit 0");
    }
  }
  done.store(true);
  for (std::thread& thread : threads) thread.join();
  for (AtomicRef<Node>& place : places_) place.Store(nullptr);
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), kObjects);
  mine_.clear();
}

// Garbage keys, whose values refer to them, where the collection was cut off at each of its steps.
TEST_F(ForkMapsTest, EntriesOfGarbageGoInTheChild) {
  for (auto i = static_cast<int>(Step::kLogging); i <= static_cast<int>(Step::kFinalized); ++i) {
    const auto step = static_cast<Step>(i);
    if (step == Step::kGarbageKept || step == Step::kFinalizersTaken) continue;
    SCOPED_TRACE(i);
    for (int garbage = 0; garbage < 100; ++garbage) {
      const Ref<Node> key = MakeNode(garbage);
      Ref<Node> value = MakeNode(garbage);
      value->next = key;
      nodes_.Set(key, std::move(value));
      named_.Set(garbage, key);
    }
    Stepper stepper(*heap_);
    ASSERT_TRUE(stepper.RunTo(step));
    const bool null = step >= Step::kDoorClosed;
    const pid_t pid = StartChild([&] {
      collector::g_on_step = nullptr;
      CHILD_CHECK(static_cast<bool>(named_.Find(7)) != null);
      (void)heap_->Collect();
      CHILD_CHECK(lives_.now() == kObjects);
      CHILD_CHECK(nodes_.size() == kMine && named_.size() == kMine);
      CheckEntries();
      ReplaceEntries();
      ClearAll();
      (void)heap_->Collect();  // what waits for a grace period is no rest
      CHILD_CHECK(heap_->Verify().ok());
    });
    (void)stepper.Finish();
    EXPECT_EQ(EndOf(pid), "exit 0");
    EXPECT_EQ(nodes_.size(), static_cast<size_t>(kMine));
  }
  mine_.clear();
}

}  // namespace
}  // namespace reef
