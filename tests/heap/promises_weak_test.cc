// Promise 7 of the README: Weak is honest. As in promises_test.cc, in its smallest decisive form.

#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <random>
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

// What happens, in order. One thread at a time: the test waits for the collector's.
using Events = std::vector<std::string>;

// Says when its object's members are destroyed.
struct Part {
  ~Part() { events->push_back("members"); }
  Events* events;
};

struct Mortal {
  Mortal(Lives& lives, Events& its_events) : life(lives), part{&its_events} {}
  ~Mortal() {
    part.events->push_back(WeakTo(this).Lock() || (weak && weak->Lock()) ? "destructor, locked"
                                                                         : "destructor");
  }
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(const Ref<Mortal>& me) {
    const bool locked = weak == nullptr || weak->Lock() == me;
    part.events->push_back(locked ? "finalizer" : "finalizer, null");
  }
  Life life;
  Part part;
  const Weak<Mortal>* weak = nullptr;
  Member<Mortal> self;
};

class PromiseOfWeaknessTest : public test::QuietHeapTest {
 protected:
  // One object with a handle and two callbacks, which dies by its counts or, in a cycle, by a
  // collection: what happens.
  Events Death(bool in_a_cycle) {
    Events events;
    Ref<Mortal> mortal = heap_->Make<Mortal>(lives_, events);
    const Weak<Mortal> weak = mortal;
    mortal->weak = &weak;
    const auto note = [&](const char* name) {
      return [&events, &weak, name] {
        events.push_back(std::string(name) + (weak.Lock() ? ", locked" : ""));
      };
    };
    const WeakCallback<Mortal> older(mortal, note("older callback"));
    const WeakCallback<Mortal> newer(mortal, note("newer callback"));
    if (in_a_cycle) mortal->self = mortal;
    mortal.Reset();
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
    return events;
  }
};

TEST_F(PromiseOfWeaknessTest, OneOrderOnBothPathsOfDeath) {
  const Events order = {"finalizer", "newer callback", "older callback", "destructor", "members"};
  EXPECT_EQ(Death(/*in_a_cycle=*/false), order);
  EXPECT_EQ(Death(/*in_a_cycle=*/true), order);
}

TEST_F(PromiseOfWeaknessTest, NullNeverTurnsNonNullAgain) {
  struct Node {
    explicit Node(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(next); }
    Life life;
    Member<Node> next;
  };
  // Against a drop, and against collections that never rest: two threads lock what a third lets go
  // of. Every other object dies in a cycle. In the end all find it gone.
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t rounds = test::Sized(1'000, 100);
  Ref<Node> node;
  Weak<Node> weak;
  std::atomic<bool> null_seen{false};  // by any thread
  const auto lock = [&] {
    const bool was_null = null_seen.load();
    const bool locked = static_cast<bool>(weak.Lock());
    ASSERT_FALSE(was_null && locked) << "somebody has seen null of it before";
    if (!locked) null_seen.store(true);
  };
  const test::ConstantCollector collector(*heap_);
  std::barrier turn(3);
  test::RunThreads(3, [&](int self) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(self));
    for (size_t i = 0; i < rounds; ++i) {
      if (self == 0) {
        null_seen.store(false);
        node = heap_->Make<Node>(lives_);
        if (i % 2 == 0) node->next = node;
        weak = node;
      }
      turn.arrive_and_wait();
      if (self == 0) node.Reset();
      for (size_t locks = random() % 100; locks != 0; --locks) lock();
      turn.arrive_and_wait();
      if (self == 0) (void)heap_->Collect();
      turn.arrive_and_wait();
      lock();
      EXPECT_TRUE(null_seen.load());
      turn.arrive_and_wait();
    }
  });
}

}  // namespace
}  // namespace reef
