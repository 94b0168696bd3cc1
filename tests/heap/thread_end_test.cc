// The end of a thread: thread_locals and thread-specific values use the heap in every order, also
// after the engine has taken the thread's slot back.

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <functional>
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
  ~Pocket() {
    Empty();
    if (at_end) at_end();
  }
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
  std::function<void()> at_end;
};

using ThreadEndTest = test::QuietHeapTest;

// thread_locals that are constructed one by one, each on its first use.
template <size_t kNumber>
Pocket& PocketOf() {
  thread_local Pocket pocket;
  return pocket;
}
constexpr std::array<Pocket& (*)(), 3> kPockets = {&PocketOf<0>, &PocketOf<1>, &PocketOf<2>};

// Destroyed in the reverse of the order of their first use, which `order` says; the engine's own
// first use of the thread comes before the first of them, after the last, or in between.
TEST_F(ThreadEndTest, ThreadLocalsInEveryOrder) {
  constexpr std::array<std::array<size_t, 3>, 6> kOrders = {
      {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}};
  for (const auto& order : kOrders) {
    for (size_t attach = 0; attach <= 3; ++attach) {
      std::vector<size_t> ends;
      std::thread([&] {
        for (size_t i = 0; i < 3; ++i) {
          if (i == attach) (void)heap_->Make<Node>(lives_);
          kPockets[order[i]]().at_end = [&ends, number = order[i]] { ends.push_back(number); };
        }
        for (const auto& pocket : kPockets) pocket().Fill(heap_.get(), &lives_);
      }).join();
      EXPECT_EQ(ends, (std::vector<size_t>{order[2], order[1], order[0]}));
      EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << lives_.now();
    }
  }
}

// A thread-specific key for as long as it lives. Keys' destructors run after all thread_locals, in
// the order of their keys' making, in rounds while there are values.
class ThreadKey {
 public:
  explicit ThreadKey(void (*end)(void*)) {
    if (pthread_key_create(&key_, end) != 0) std::abort();
  }
  ~ThreadKey() { (void)pthread_key_delete(key_); }
  ThreadKey(const ThreadKey&) = delete;
  ThreadKey& operator=(const ThreadKey&) = delete;
  // Of the calling thread.
  void Set(const void* value) const { (void)pthread_setspecific(key_, value); }

 private:
  pthread_key_t key_{};
};

// The thread sanitizer's own value goes in the last round, and nothing may run after that.
constexpr int kRounds = REEF_TEST_TSAN ? 2 : 3;

// A value that uses the heap when it goes, and comes back for another round.
struct Recurrent {
  static void End(void* value) {
    auto* self = static_cast<Recurrent*>(value);
    self->pocket.Empty();
    if (++self->rounds == kRounds) return;
    self->pocket.Fill(self->heap, self->lives);
    self->key->Set(self);
  }
  const ThreadKey* key = nullptr;
  Heap* heap = nullptr;
  Lives* lives = nullptr;
  Pocket pocket = {};
  int rounds = 0;
};

void UseAtItsEnd(const ThreadKey& key, Heap& heap, Lives& lives) {
  Recurrent value{.key = &key, .heap = &heap, .lives = &lives};
  std::thread([&] {
    value.pocket.Fill(&heap, &lives);
    key.Set(&value);
  }).join();
  EXPECT_EQ(value.rounds, kRounds);
  EXPECT_TRUE(Eventually([&] { return lives.now() == 0; })) << lives.now();
}

// The heap is there, hence the engine's key: the thread's slot is gone, and it gets one anew.
TEST_F(ThreadEndTest, ThreadSpecificValuesAfterTheEnginesOwn) {
  const ThreadKey key(&Recurrent::End);
  for (int i = 0; i < 20; ++i) UseAtItsEnd(key, *heap_, lives_);
}

// In a process of its own, in which the key comes before the first heap: its first round finds the
// slot in use.
TEST(ThreadEndDeathTest, ThreadSpecificValuesBeforeTheEnginesOwn) {
  EXPECT_EXIT(
      {
        const ThreadKey key(&Recurrent::End);
        Lives lives;
        const std::unique_ptr<Heap> heap = test::NewHeap();
        for (int i = 0; i < 20; ++i) UseAtItsEnd(key, *heap, lives);
        _exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

// A thread that was given a Ref and has never used a heap drops it when the engine does not know
// the thread any more, or not yet.
TEST_F(ThreadEndTest, DropsAfterTheSlotIsGone) {
  const ThreadKey key([](void* value) { delete static_cast<Ref<Node>*>(value); });
  for (const bool attached : {false, true}) {
    for (int i = 0; i < 100; ++i) {
      auto* held = new Ref<Node>(heap_->Make<Node>(lives_));
      std::thread([&] {
        if (attached) (void)heap_->Make<Node>(lives_);
        key.Set(held);
      }).join();
    }
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << lives_.now();
  }
}

}  // namespace
}  // namespace reef
