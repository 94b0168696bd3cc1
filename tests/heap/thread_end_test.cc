// The end of a thread: thread_locals and thread-specific values use the heap in every order, also
// after the engine has taken the thread's slot back.

#include <pthread.h>

#include <array>
#include <cstddef>
#include <memory>
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

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, shared); }
  Life life;
  Member<Node> next;
  AtomicMember<Node> shared;
};

// What a thread holds until its end, when it allocates, stores, drops, publishes and collects.
struct Pocket {
  ~Pocket() { Empty(); }
  void Fill(Heap* where, Lives* whose) {
    heap = where;
    lives = whose;
    held = heap->Make<Node>(*lives);
    place.Store(heap->Make<Node>(*lives));
  }
  void Empty() {
    if (heap == nullptr) return;
    Ref<Node> late = heap->Make<Node>(*lives);
    late->next = held;
    held->next = late;  // a ring
    late->shared.Store(place.Load());
    place.Store(std::move(late));
    place.Store(nullptr);
    held.Reset();
    (void)heap->Collect();
    heap = nullptr;
  }
  Heap* heap = nullptr;
  Lives* lives = nullptr;
  Ref<Node> held;
  AtomicRef<Node> place;
};

using ThreadEndTest = test::QuietHeapTest;

thread_local Pocket t_first;
thread_local Pocket t_second;
thread_local Pocket t_third;

// Destroyed in the reverse of the order of their first use, which `order` says; the engine's own
// first use of the thread comes after the first of them, before the last, or in between.
TEST_F(ThreadEndTest, ThreadLocalsInEveryOrder) {
  constexpr std::array<std::array<int, 3>, 6> kOrders = {
      {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}};
  for (const auto& order : kOrders) {
    for (size_t attach = 0; attach <= 3; ++attach) {
      std::thread([&] {
        Pocket* const pockets[] = {&t_first, &t_second, &t_third};
        for (size_t i = 0; i < 3; ++i) {
          if (i == attach) (void)heap_->Make<Node>(lives_);
          pockets[order[i]]->heap = nullptr;  // constructs it, uses no heap
        }
        for (Pocket* pocket : pockets) pocket->Fill(heap_.get(), &lives_);
      }).join();
      EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << lives_.now();
    }
  }
}

// Keys' destructors run after all thread_locals, in rounds while there are values. One that comes
// after the engine's finds no slot, and gets one anew; one that sets a value again comes a second
// time.
pthread_key_t g_early_key;
pthread_key_t g_late_key;

void EndEarly(void* pocket) { static_cast<Pocket*>(pocket)->Empty(); }

// The thread sanitizer's own value goes in the last round, and nothing may run after that.
constexpr int kRounds = REEF_TEST_TSAN ? 2 : 3;

struct Twice {
  Pocket pocket;
  Heap* heap = nullptr;
  Lives* lives = nullptr;
  int rounds = 0;
};
void EndTwice(void* value) {
  auto* twice = static_cast<Twice*>(value);
  twice->pocket.Empty();
  if (++twice->rounds == kRounds) return;
  twice->pocket.Fill(twice->heap, twice->lives);
  (void)pthread_setspecific(g_late_key, twice);
}

TEST_F(ThreadEndTest, ThreadSpecificValuesBeforeAndAfterTheEnginesOwn) {
  // The heap is there, hence the engine's key; the one that was made before stands for any library
  // that came first.
  ASSERT_EQ(pthread_key_create(&g_early_key, &EndEarly), 0);
  ASSERT_EQ(pthread_key_create(&g_late_key, &EndTwice), 0);
  for (int round = 0; round < 20; ++round) {
    Pocket pocket;
    Twice twice;
    std::thread([&] {
      pocket.Fill(heap_.get(), &lives_);
      twice.heap = heap_.get();
      twice.lives = &lives_;
      twice.pocket.Fill(heap_.get(), &lives_);
      (void)pthread_setspecific(g_early_key, &pocket);
      (void)pthread_setspecific(g_late_key, &twice);
    }).join();
    EXPECT_EQ(twice.rounds, kRounds);
    EXPECT_EQ(pocket.heap, nullptr);
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << lives_.now();
  }
  ASSERT_EQ(pthread_key_delete(g_early_key), 0);
  ASSERT_EQ(pthread_key_delete(g_late_key), 0);
}

// A thread that was given a Ref and has never used a heap drops it when the engine does not know
// the thread any more, or not yet.
TEST_F(ThreadEndTest, DropsAfterTheSlotIsGone) {
  ASSERT_EQ(
      pthread_key_create(&g_late_key, [](void* value) { delete static_cast<Ref<Node>*>(value); }),
      0);
  for (const bool attached : {false, true}) {
    for (int i = 0; i < 100; ++i) {
      auto* held = new Ref<Node>(heap_->Make<Node>(lives_));
      std::thread([&] {
        if (attached) (void)heap_->Make<Node>(lives_);
        (void)pthread_setspecific(g_late_key, held);
      }).join();
    }
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << lives_.now();
  }
  ASSERT_EQ(pthread_key_delete(g_late_key), 0);
}

}  // namespace
}  // namespace reef
