// The lock-free examples are linearizable: short histories of several threads, recorded and
// checked, many of them. A failure prints its history and the seed.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "docs/examples/lock_free/hash_map.h"
#include "docs/examples/lock_free/michael_scott_queue.h"
#include "docs/examples/lock_free/ordered_set.h"
#include "docs/examples/lock_free/treiber_stack.h"
#include "reef/reef.h"
#include "tests/examples/linearizability.h"
#include "tests/examples/models.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::kExchange;
using test::kKeys;
using test::kLook;
using test::kNone;
using test::kPut;
using test::kTake;

struct Number {
  int64_t value;
};
int64_t ValueOf(const Ref<Number>& number) { return number ? number->value : kNone; }

// How an operation is drawn, and carried out. `fresh` is a number that no other operation has.
struct Drawn {
  int kind;
  int64_t argument;
};

struct StackSubject {
  using Model = test::StackModel;
  explicit StackSubject(Heap& its_heap)
      : heap(its_heap), stack(its_heap.Make<lock_free::TreiberStack<Number>>(its_heap)) {}
  static Drawn Draw(std::mt19937_64& random, int64_t fresh) {
    return random() % 2 == 0 ? Drawn{kPut, fresh} : Drawn{kTake, 0};
  }
  int64_t Run(const Drawn& drawn) {
    if (drawn.kind == kTake) return ValueOf(stack->Pop());
    stack->Push(heap.Make<Number>(drawn.argument));
    return 0;
  }
  Heap& heap;
  Ref<lock_free::TreiberStack<Number>> stack;
};

struct QueueSubject {
  using Model = test::QueueModel;
  explicit QueueSubject(Heap& its_heap)
      : heap(its_heap), queue(its_heap.Make<lock_free::MichaelScottQueue<Number>>(its_heap)) {}
  static Drawn Draw(std::mt19937_64& random, int64_t fresh) {
    return StackSubject::Draw(random, fresh);
  }
  int64_t Run(const Drawn& drawn) {
    if (drawn.kind == kTake) return ValueOf(queue->Dequeue());
    queue->Enqueue(heap.Make<Number>(drawn.argument));
    return 0;
  }
  Heap& heap;
  Ref<lock_free::MichaelScottQueue<Number>> queue;
};

struct SetSubject {
  using Model = test::SetModel;
  explicit SetSubject(Heap& heap) : set(heap.Make<lock_free::OrderedSet<int64_t>>(heap)) {}
  static Drawn Draw(std::mt19937_64& random, int64_t /*fresh*/) {
    return {static_cast<int>(random() % 3), static_cast<int64_t>(random() % 4)};
  }
  int64_t Run(const Drawn& drawn) {
    if (drawn.kind == kPut) return set->Insert(drawn.argument) ? 1 : 0;
    if (drawn.kind == kTake) return set->Remove(drawn.argument) ? 1 : 0;
    return set->Contains(drawn.argument) ? 1 : 0;
  }
  Ref<lock_free::OrderedSet<int64_t>> set;
};

// Hashes that meet: in the first levels of the trie, or in all of them.
template <uint64_t kDifferent>
struct PoorHash {
  size_t operator()(int64_t key) const { return static_cast<uint64_t>(key) % kDifferent; }
};

template <uint64_t kDifferent>
struct MapSubject {
  using Model = test::MapModel;
  using Map = lock_free::HashMap<int64_t, Number, PoorHash<kDifferent>>;
  explicit MapSubject(Heap& its_heap)
      : heap(its_heap), map(its_heap.Make<Map>(its_heap)), keys(Keys(its_heap)) {}
  Drawn Draw(std::mt19937_64& random, int64_t fresh) const {
    const int64_t key = keys[random() % keys.size()];
    const int kind = 1 + static_cast<int>(random() % 3);
    return {kind, kind == kExchange ? key * kKeys + fresh : key};
  }
  int64_t Run(const Drawn& drawn) {
    if (drawn.kind == kLook) return ValueOf(map->Get(drawn.argument));
    if (drawn.kind == kTake) return ValueOf(map->Remove(drawn.argument));
    return ValueOf(
        map->Exchange(drawn.argument / kKeys, heap.Make<Number>(drawn.argument % kKeys)));
  }

  // Four keys that share a slot of the first branch, so that others come and go all the time. Two
  // that share none make a map, two leaves and two values; a branch shows that they do.
  static const std::vector<int64_t>& Keys(Heap& heap) {
    static const std::vector<int64_t> keys = [&heap] {
      std::vector<int64_t> found{0};
      for (int64_t key = 1; found.size() < 4; ++key) {
        (void)heap.Collect();
        const uint64_t before = heap.Stats().live_objects;
        const Ref<Map> probe = heap.Make<Map>(heap);
        probe->Set(0, heap.Make<Number>(0));
        probe->Set(key, heap.Make<Number>(0));
        const bool same_hash = static_cast<uint64_t>(key) % kDifferent == 0;
        if (same_hash || heap.Stats().live_objects - before > 5) found.push_back(key);
      }
      return found;
    }();
    return keys;
  }

  Heap& heap;
  Ref<Map> map;
  const std::vector<int64_t>& keys;
};

template <typename Subject>
class LockFreeHistoryTest : public test::QuietHeapTest {
 protected:
  static constexpr int kThreads = 3;
  static constexpr int kOperations = 9;  // of each thread

  test::History Record(uint64_t seed) {
    Subject subject(*heap_);
    test::HistoryClock clock;
    std::vector<test::History> parts(kThreads);
    std::atomic<int> ready{0};
    test::RunThreads(kThreads, [&](int thread) {
      std::mt19937_64 random(seed * kThreads + static_cast<uint64_t>(thread));
      ready.fetch_add(1);
      while (ready.load() != kThreads) std::this_thread::yield();  // all begin together
      for (int i = 0; i < kOperations; ++i) {
        const Drawn drawn = subject.Draw(random, thread * kOperations + i);
        if (random() % 4 == 0) std::this_thread::yield();
        clock.Record(&parts[static_cast<size_t>(thread)], thread, drawn.kind, drawn.argument,
                     [&] { return subject.Run(drawn); });
      }
    });
    test::History history;
    for (const auto& part : parts) history.insert(history.end(), part.begin(), part.end());
    return history;
  }
};

using Subjects = ::testing::Types<StackSubject, QueueSubject, SetSubject, MapSubject<1000>,
                                  MapSubject<4>, MapSubject<1>>;
TYPED_TEST_SUITE(LockFreeHistoryTest, Subjects);

TYPED_TEST(LockFreeHistoryTest, HistoriesAreLinearizable) {
  const uint64_t first = test::Seed();
  (void)this->Record(first);  // what the subject finds out about itself, in a heap that holds still
  const test::ConstantCollector collector(*this->heap_);
  for (uint64_t seed = first; seed < first + test::Sized(3000, 200); ++seed) {
    const test::History history = this->Record(seed);
    ASSERT_TRUE(test::IsLinearizable<typename TypeParam::Model>(history))
        << test::SeedNote(seed) << "\n"
        << history;
  }
}

}  // namespace
}  // namespace reef
