// Keys come and go with their values while maps are changed, read, iterated and ended by many
// threads, and a collector never rests.
//
// Every value refers to its key, so that no key with an entry ever dies by counts; about half of
// the values are keys themselves, of a tail that refers to its value. The oracle is a number beside
// each key, changed with the map under a lock of that place: a look-up finds that number or, if it
// is 0, nothing. At rest exactly the keys, the values and the tails that the oracle knows are left.

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "reef/reef.h"
#include "stress/program.h"

namespace reef::stress {
namespace {

std::atomic<int64_t> g_begun{0};
std::atomic<int64_t> g_ended{0};
std::atomic<int64_t> g_found{0};

[[noreturn]] void Violated(const char* what) {
  std::fprintf(stderr, "ephemerons_stress: %s\n", what);
  std::abort();
}

struct Node {
  explicit Node(uint64_t own_number) : number(own_number) { g_begun.fetch_add(1); }
  ~Node() {
    if (destroyed.exchange(true)) Violated("a destructor runs twice");
    g_ended.fetch_add(1);
  }
  void Trace(Visitor& v) const { v.Visit(key); }
  const uint64_t number;
  std::atomic<bool> destroyed{false};
  Member<Node> key;
};

using Map = WeakKeyMap<Node, Node>;

class Story {
 public:
  Story(Heap& heap, uint64_t seed) : heap_(heap), seed_(seed) {
    for (Place& place : places_) place.key = heap_.Make<Node>(uint64_t{0});
  }

  void Live(uint64_t thread) {
    constexpr int kSteps = kSlowBuild ? 300 : 3000;
    std::mt19937_64 random(seed_ + thread);
    Map own;
    for (int i = 0; i < kSteps; ++i) {
      Place& place = places_[Below(random, kPlaces)];
      const size_t what = Below(random, 32);
      if (what == 0) {
        values_.ForEach(&Story::CheckPair);
      } else if (what == 1) {
        Weak<Node> expected = latest_.Load();
        (void)latest_.CompareExchange(expected, KeyOf(place));
      } else if (what < 4) {
        if (const Ref<Node> key = latest_.Lock()) TryOwn(own, key);
      } else {
        const std::lock_guard<std::mutex> lock(place.mutex);
        if (what < 12) {
          Enter(place, random() % 2 == 0);
        } else if (what < 15) {
          if (values_.Erase(place.key) != (place.value != 0)) Violated("an entry came or went");
          place.value = place.tail = 0;
        } else if (what < 18) {
          latest_.Store(place.key);
          place.key = heap_.Make<Node>(uint64_t{0});  // the former one is garbage now
          place.value = place.tail = 0;
        } else {
          Check(place);
        }
      }
    }
  }

  // At rest, and collected: how many objects there must be.
  int64_t Expected() {
    int64_t count = 0;
    for (Place& place : places_) {
      Check(place);
      count += 1 + (place.value != 0 ? 1 : 0) + (place.tail != 0 ? 1 : 0);
    }
    return count;
  }

 private:
  static constexpr size_t kPlaces = 64;
  struct Place {
    std::mutex mutex;
    Ref<Node> key;
    uint64_t value = 0;  // numbers of what it is mapped to, or 0
    uint64_t tail = 0;
  };

  static void CheckPair(const Ref<Node>& key, const Ref<Node>& value) {
    if (value->key.get() != key.get()) Violated("an iteration shows another key's value");
    if (key->destroyed.load() || value->destroyed.load()) Violated("it shows the dead");
  }

  Ref<Node> KeyOf(Place& place) {
    const std::lock_guard<std::mutex> lock(place.mutex);
    return place.key;
  }

  void Enter(Place& place, bool with_tail) {
    Ref<Node> value = heap_.Make<Node>(next_.fetch_add(1));
    value->key = place.key;
    place.value = value->number;
    place.tail = 0;
    if (with_tail) {
      Ref<Node> tail = heap_.Make<Node>(next_.fetch_add(1));
      tail->key = value;
      place.tail = tail->number;
      tails_.Set(value, std::move(tail));
    }
    values_.Set(place.key, std::move(value));
  }

  void Check(const Place& place) {
    const Ref<Node> value = values_.Find(place.key);
    if ((value ? value->number : 0) != place.value) Violated("a look-up finds another value");
    if (!value) return;
    if (value->destroyed.load()) Violated("a look-up finds the dead");
    const Ref<Node> tail = tails_.Find(value);
    if ((tail ? tail->number : 0) != place.tail) Violated("a look-up finds another tail");
    g_found.fetch_add(1, std::memory_order_relaxed);
  }

  // A map of this thread alone, which ends with it, on keys that all threads use.
  void TryOwn(Map& own, const Ref<Node>& key) {
    if (key->destroyed.load()) Violated("a Lock returns the dead");
    Ref<Node> value = heap_.Make<Node>(next_.fetch_add(1));
    value->key = key;
    const Ref<Node> held = value;
    own.Set(key, std::move(value));
    if (own.Find(key) != held) Violated("a thread's own map shows another value");
  }

  Heap& heap_;
  const uint64_t seed_;
  std::atomic<uint64_t> next_{1};
  std::array<Place, kPlaces> places_;
  AtomicWeak<Node> latest_;
  Map values_;
  Map tails_;
};

int Run(int argc, char** argv) {
  Program program("ephemerons_stress", argc, argv);
  HeapOptions options = EagerOptions();
  options.marker_threads = program.seed() % 2 == 0 ? 1 : 2;
  const std::unique_ptr<Heap> heap = NewHeap(options);
  {
    Story story(*heap, program.seed());
    for (uint64_t round = 1; program.Running(); ++round) {
      std::atomic<bool> stop{false};
      std::thread collector([&] {
        while (!stop.load(std::memory_order_relaxed)) (void)heap->Collect();
      });
      RunThreads(program.threads(),
                 [&](int i) { story.Live(round * 1000 + static_cast<uint64_t>(i)); });
      stop.store(true, std::memory_order_relaxed);
      collector.join();
      (void)heap->Collect();
      const int64_t alive = g_begun.load() - g_ended.load();
      program.Expect(alive == story.Expected(), alive, "objects, the oracle says",
                     story.Expected());
      program.Require(heap->Verify());
      program.Progress("objects", g_begun.load(), "found", g_found.load(), "collections",
                       heap->Stats().collections);
    }
  }
  (void)heap->Collect();
  program.Expect(g_begun.load() == g_ended.load(), "nothing outlives the last key");
  program.Expect(heap->Stats().live_objects == 0, "an empty heap after the last key");
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
