// Weak handles are locked by many short threads while their objects die by counts, in cycles under
// a collector that never rests, and after finalizers that bring some of them back.
//
// The oracle: each object has a verdict, which a thread sets after one of its Locks has returned
// null. Who has read it before his own Lock must get null as well, on whatever thread (promise 7).
// And what a Lock returns is whole: its destructor has not begun, and does not begin while held.

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
#include <vector>

#include "reef/reef.h"
#include "stress/program.h"

namespace reef::stress {
namespace {

std::atomic<int64_t> g_begun{0};
std::atomic<int64_t> g_ended{0};
std::atomic<int64_t> g_locked{0};
std::atomic<int64_t> g_null{0};

[[noreturn]] void Violated(const char* what) {
  std::fprintf(stderr, "null_stays_null_stress: %s\n", what);
  std::abort();
}

// What all handles to one object share beside the object, and outlive it with.
struct Fate {
  std::atomic<bool> null_seen{false};
  std::atomic<bool> destroyed{false};
  std::atomic<int> finalized{0};
};

// The finalizer of those items that have one.
template <typename Item, bool kFinalizes>
struct LastWord {};
template <typename Item>
struct LastWord<Item, true> {
  void Finalize(Ref<Item> self) {
    self->fate->finalized.fetch_add(1);
    if (AtomicRef<Item>* home = self->home) home->Store(std::move(self));  // resurrected
  }
};

template <bool kFinalizes>
struct Item : LastWord<Item<kFinalizes>, kFinalizes> {
  explicit Item(std::shared_ptr<Fate> my_fate) : fate(std::move(my_fate)) {
    g_begun.fetch_add(1, std::memory_order_relaxed);
  }
  ~Item() {
    if (fate->destroyed.exchange(true)) Violated("an object dies twice");
    if (kFinalizes && fate->finalized.load() != 1) Violated("no finalizer, or more than one");
    g_ended.fetch_add(1, std::memory_order_release);
  }
  void Trace(Visitor& v) const { v.Visit(next, other); }

  const std::shared_ptr<Fate> fate;
  AtomicRef<Item>* home = nullptr;
  Member<Item> next;
  AtomicMember<Item> other;  // several threads may hold the object
};

template <bool kFinalizes>
class Story {
 public:
  using Thing = Item<kFinalizes>;

  Story(Heap& heap, uint64_t seed) : heap_(heap), seed_(seed) {}

  void Live(uint64_t number) {
    std::mt19937_64 random(seed_ + number * 0x9e37'79b9);
    std::vector<Ref<Thing>> held(4);
    for (int step = 0; step < 60; ++step) {
      Place& place = places_[Below(random, kPlaces)];
      Ref<Thing>& mine = held[Below(random, held.size())];
      switch (random() % 6) {
        case 0:
          Replace(random, place);
          break;
        case 1:
          LetGo(place);
          break;
        case 2:
          mine.Reset();
          break;
        case 3:  // what was locked goes behind an edge
          if (Ref<Thing> found = Lock(place); found && mine) mine->other.Store(std::move(found));
          break;
        case 4:
          if (mine) mine->other.Store(nullptr);
          break;
        default:
          if (Ref<Thing> found = Lock(place)) mine = std::move(found);
      }
    }
  }
  void DropAll() {
    for (Place& place : places_) {
      LetGo(place);
      place.home.Store(nullptr);
    }
  }

 private:
  static constexpr size_t kPlaces = 16;
  struct Place {
    std::mutex mutex;  // for the two: neither is locked under it
    Weak<Thing> weak;
    std::shared_ptr<Fate> fate;
    AtomicRef<Thing> strong;
    AtomicRef<Thing> home;
  };

  void Replace(std::mt19937_64& random, Place& place) {
    auto fate = std::make_shared<Fate>();
    Ref<Thing> thing = heap_.template Make<Thing>(fate);
    if (random() % 2 == 0) {
      thing->next = heap_.template Make<Thing>(std::make_shared<Fate>());
      thing->next->next = thing;
    }
    if (kFinalizes && random() % 4 == 0) thing->home = &place.home;
    Weak<Thing> weak = thing;
    {
      const std::lock_guard<std::mutex> lock(place.mutex);
      std::swap(place.weak, weak);
      std::swap(place.fate, fate);
    }
    if (random() % 4 != 0) place.strong.Store(std::move(thing));
  }
  static void LetGo(Place& place) { place.strong.Store(nullptr); }

  static Ref<Thing> Lock(Place& place) {
    Weak<Thing> weak;
    std::shared_ptr<Fate> fate;
    {
      const std::lock_guard<std::mutex> lock(place.mutex);
      weak = place.weak;
      fate = place.fate;
    }
    if (fate == nullptr) return nullptr;
    const bool null_seen = fate->null_seen.load();
    Ref<Thing> found = weak.Lock();
    if (!found) {
      fate->null_seen.store(true);
      g_null.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    if (null_seen) Violated("a Lock succeeds after one that returned null");
    if (found->fate != fate) Violated("a Lock returns another object");
    if (fate->destroyed.load()) Violated("a Lock returns an object whose destructor has begun");
    g_locked.fetch_add(1, std::memory_order_relaxed);
    return found;
  }

  Heap& heap_;
  const uint64_t seed_;
  std::array<Place, kPlaces> places_;
};

template <typename StoryType>
void RunRound(Program& program, Heap& heap, StoryType& story, uint64_t round) {
  constexpr int kLives = kSlowBuild ? 40 : 300;  // of threads, one after the other
  std::atomic<bool> stop{false};
  std::thread collector([&] {
    while (!stop.load(std::memory_order_relaxed)) (void)heap.Collect();
  });
  RunThreads(program.threads(), [&](int i) {
    for (int life = 0; life < kLives; ++life) {
      const uint64_t number =
          (round * 1000 + static_cast<uint64_t>(i)) * 1000 + static_cast<uint64_t>(life);
      std::thread([&story, number] { story.Live(number); }).join();
    }
  });
  stop.store(true, std::memory_order_relaxed);
  collector.join();
  // Again for what finalizers have saved, and for what hung on that, along a chain of a few.
  constexpr int kMostTimes = 8;
  for (int i = 0; i == 0 || (i < kMostTimes && g_begun.load() != g_ended.load()); ++i) {
    story.DropAll();
    (void)heap.Collect();
  }
  program.Expect(g_begun.load() == g_ended.load(), g_begun.load() - g_ended.load(),
                 "objects outlive their last root");
  program.Expect(heap.Stats().live_objects == 0, "an empty heap after the last root");
  program.Require(heap.Verify());
}

int Run(int argc, char** argv) {
  Program program("null_stays_null_stress", argc, argv);
  HeapOptions options = EagerOptions();
  options.marker_threads = program.seed() % 2 == 0 ? 1 : 2;
  const std::unique_ptr<Heap> heap = NewHeap(options);
  Story<false> plain(*heap, program.seed());
  Story<true> finalized(*heap, program.seed());
  for (uint64_t round = 1; program.Running(); ++round) {
    if (round % 2 == 0) {
      RunRound(program, *heap, plain, round);
    } else {
      RunRound(program, *heap, finalized, round);
    }
    program.Progress("objects", g_begun.load(), "locked", g_locked.load(), "null", g_null.load(),
                     "collections", heap->Stats().collections);
  }
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
