// Weak handles of every kind at once: AtomicWeak, WeakValueMap, WeakSet, WeakCallback and
// Finalizer, of objects that many short threads pass on, drop and lock while a collector never
// rests.
//
// The oracle is a file on each object, which outlives it. Once a thread has seen null by any way to
// it, nobody sees it alive by any other (promise 7), and what is found is the object that was
// entered there, its destructor not begun. A callback comes once, after the handles say null and
// before the destructor; or not at all, if the end of its handle has taken it away. A Finalizer is
// called once, by hand or at the death, or detached. Of several threads that insert an object into
// a set at once, one does. At rest no object, no file and no handle's cell is left.

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "reef/reef.h"
#include "stress/program.h"

namespace reef::stress {
namespace {

std::atomic<int64_t> g_begun{0};
std::atomic<int64_t> g_ended{0};
std::atomic<int64_t> g_files{0};
std::atomic<int64_t> g_locked{0};
std::atomic<int64_t> g_null{0};
std::atomic<int64_t> g_called{0};

[[noreturn]] void Violated(const char* what) {
  std::fprintf(stderr, "weak_handles_stress: %s\n", what);
  std::abort();
}

struct File {
  explicit File(uint64_t its_number) : number(its_number) { ++g_files; }
  // Nobody has a handle to the object any more, nor will call anything of it.
  ~File() {
    if (finalized.load() + detached.load() != 1)
      Violated("a Finalizer neither called nor detached");
    if (inserted.load() != 0 && inserted.load() != 1) Violated("a set had an object twice");
    --g_files;
  }
  const uint64_t number;
  std::atomic<bool> null_seen{false};
  std::atomic<bool> destroyed{false};
  std::atomic<int> inserted{0};  // less how often it was erased
  std::atomic<int> finalized{0};
  std::atomic<int> detached{0};
  std::atomic<bool> by_hand{false};  // somebody may have taken the Finalizer's call over
  Finalizer finalizer;
};
using FileRef = std::shared_ptr<File>;

struct Leaf {
  explicit Leaf(FileRef its_file) : file(std::move(its_file)) { ++g_begun; }
  ~Leaf() {
    if (file->destroyed.exchange(true)) Violated("an object dies twice");
    if (file->finalized.load() == 0 && !file->by_hand.load()) {
      Violated("a destructor comes before the Finalizer");
    }
    ++g_ended;
  }
  const FileRef file;
};
struct Node : Leaf {
  using Leaf::Leaf;
  void Trace(Visitor& v) const { v.Visit(next, other); }
  Member<Node> next;
  AtomicMember<Node> other;
};

// One callback and its handle, on some thread.
template <typename T>
class Watcher {
 public:
  Watcher() = default;
  explicit Watcher(const Ref<T>& thing) : fate_(std::make_shared<Fate>()) {
    callback_ = WeakCallback<T>(thing, [fate = fate_, gone = std::make_shared<Gone>(fate_),
                                        file = thing->file, weak = Weak<T>(thing)] {
      if (fate->calls.fetch_add(1) != 0) Violated("a callback is called twice");
      if (file->destroyed.load()) Violated("a callback comes after the destructor");
      if (weak.Lock()) Violated("a callback comes before null");
      file->null_seen.store(true);
      ++g_called;
    });
  }
  Watcher(Watcher&&) noexcept = default;
  Watcher& operator=(Watcher&&) = delete;
  ~Watcher() {
    if (fate_ == nullptr) return;
    callback_.Cancel();
    // What the function has captured goes with the function: by the Cancel, or after its call.
    if (fate_->gone.load() && fate_->calls.load() == 0) fate_->cancelled.store(true);
  }
  void Swap(Watcher& other) noexcept {
    std::swap(fate_, other.fate_);
    std::swap(callback_, other.callback_);
  }

 private:
  struct Fate {
    ~Fate() {
      if (calls.load() != (cancelled.load() ? 0 : 1))
        Violated("a callback is lost, or not cancelled");
    }
    std::atomic<int> calls{0};
    std::atomic<bool> gone{false};
    std::atomic<bool> cancelled{false};
  };
  struct Gone {
    explicit Gone(std::shared_ptr<Fate> its_fate) : fate(std::move(its_fate)) {}
    ~Gone() { fate->gone.store(true); }
    const std::shared_ptr<Fate> fate;
  };

  std::shared_ptr<Fate> fate_;
  WeakCallback<T> callback_;
};

template <typename T>
class Story {
 public:
  Story(Heap& heap, uint64_t seed) : heap_(heap), seed_(seed) {}

  void Live(uint64_t thread) {
    std::mt19937_64 random(seed_ + thread * 0x9e37'79b9);
    std::array<Ref<T>, 4> held;
    for (int step = 0; step < 60; ++step) {
      Place& place = places_[Below(random, kPlaces)];
      Ref<T>& mine = held[Below(random, held.size())];
      switch (random() % 16) {
        case 0:
        case 1:
          Replace(random, place);
          break;
        case 2:
        case 3:
          place.strong.Store(nullptr);
          break;
        case 4:
          mine.Reset();
          break;
        case 5:
          if (mine) latest_[Below(random, latest_.size())].Store(mine);
          break;
        case 6:
          TryAtomic(latest_[Below(random, latest_.size())], mine);
          break;
        case 7:
          if (mine) Watch(random, Watcher<T>(mine));
          break;
        case 8:
          Watch(random, Watcher<T>());
          break;
        case 9:
          if (mine) TrySet(random, mine);
          break;
        case 10:
          if (random() % 8 == 0) set_.ForEach([](const Ref<T>& thing) { CheckWhole(thing); });
          break;
        case 11:
          if (random() % 4 == 0) TryFinalizer(FileOf(place));
          break;
        case 12:
          if (mine) Entangle(mine, Look(random, place));
          break;
        case 13:
          if (random() % 8 == 0) found_.Prune();
          break;
        default:
          if (Ref<T> found = Look(random, place)) mine = std::move(found);
      }
    }
  }
  // No thread is left.
  void DropAll() {
    for (Place& place : places_) {
      place.strong.Store(nullptr);
      place.weak.Reset();
      place.file.reset();
    }
    for (AtomicWeak<T>& latest : latest_) latest.Store(nullptr);
    for (Post& post : posts_) Watcher<T>().Swap(post.watcher);
    (void)heap_.Collect();
    if (set_.size() != 0) Violated("a set knows of an object that is gone");
    if (found_.size() != 0) Violated("a map knows of an object that is gone");
    set_.Prune();
    found_.Prune();
  }

 private:
  static constexpr size_t kPlaces = 16;
  struct Place {
    std::mutex mutex;  // for the two: nothing is locked under it
    Weak<T> weak;
    FileRef file;
    AtomicRef<T> strong;
  };
  struct Post {
    std::mutex mutex;
    Watcher<T> watcher;
  };

  static void CheckWhole(const Ref<T>& thing) {
    if (thing->file->destroyed.load()) Violated("the dead is found");
    if (thing->file->null_seen.load()) Violated("what was null is found");
  }
  static FileRef FileOf(Place& place) {
    const std::lock_guard<std::mutex> lock(place.mutex);
    return place.file;
  }

  Ref<T> Make() {
    auto file = std::make_shared<File>(next_.fetch_add(1));
    Ref<T> thing = heap_.Make<T>(file);
    file->finalizer = Finalizer(thing, [file] {
      if (file->finalized.fetch_add(1) != 0) Violated("a Finalizer is called twice");
      if (!file->by_hand.load() && file->destroyed.load()) Violated("a Finalizer comes too late");
    });
    file->finalizer.set_at_exit(false);
    return thing;
  }
  void Replace(std::mt19937_64& random, Place& place) {
    Ref<T> thing = Make();
    if constexpr (std::is_same_v<T, Node>) {
      if (random() % 2 == 0) {
        thing->next = Make();
        thing->next->next = thing;
      }
    }
    found_.Set(thing->file->number, thing);
    if (random() % 4 == 0) Watch(random, Watcher<T>(thing));
    Weak<T> weak = thing;
    FileRef file = thing->file;
    {
      const std::lock_guard<std::mutex> lock(place.mutex);
      std::swap(place.weak, weak);
      std::swap(place.file, file);
    }
    if (random() % 4 != 0) place.strong.Store(std::move(thing));
  }

  // In the place of one that another thread may have made; that ends here.
  void Watch(std::mt19937_64& random, Watcher<T> watcher) {
    Post& post = posts_[Below(random, posts_.size())];
    const std::lock_guard<std::mutex> lock(post.mutex);
    post.watcher.Swap(watcher);
  }

  // By its place's handle or by its number: the way to null must not matter.
  Ref<T> Look(std::mt19937_64& random, Place& place) {
    Weak<T> weak;
    FileRef file;
    {
      const std::lock_guard<std::mutex> lock(place.mutex);
      weak = place.weak;
      file = place.file;
    }
    if (file == nullptr) return nullptr;
    const bool null_seen = file->null_seen.load();
    Ref<T> thing = random() % 2 == 0 ? weak.Lock() : found_.Find(file->number);
    if (!thing) {
      file->null_seen.store(true);
      g_null.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    if (null_seen) Violated("a look-up succeeds after one that found null");
    if (thing->file != file) Violated("a look-up finds another object");
    CheckWhole(thing);
    g_locked.fetch_add(1, std::memory_order_relaxed);
    return thing;
  }
  static void TryAtomic(AtomicWeak<T>& latest, Ref<T>& mine) {
    if (Ref<T> locked = latest.Lock()) CheckWhole(locked);
    Weak<T> expected = latest.Load();
    const Ref<T> seen = expected.Lock();
    const Weak<T> same = expected;
    if (mine && latest.CompareExchange(expected, mine)) {
      if (!(expected == same)) Violated("a comparison that succeeds changes what it expects");
    }
    if (seen) mine = seen;
  }
  void TrySet(std::mt19937_64& random, const Ref<T>& thing) {
    if (random() % 2 == 0) {
      if (set_.Insert(thing)) ++thing->file->inserted;
    } else if (set_.Erase(thing)) {
      --thing->file->inserted;
    }
  }
  static void TryFinalizer(const FileRef& file) {
    if (file == nullptr) return;
    file->by_hand.store(true);
    if (file->number % 2 == 0) {
      if (file->finalizer()) {
        if (file->finalized.load() != 1) Violated("a call by hand called nothing");
      }
    } else if (file->finalizer.Detach() != nullptr) {
      if (file->finalized.load() != 0) Violated("what was called is detached");
      file->detached.store(1);
    }
    if (file->finalizer.alive()) Violated("it is alive after that");
  }
  void Entangle(const Ref<T>& mine, Ref<T> found) {
    if constexpr (std::is_same_v<T, Node>) mine->other.Store(std::move(found));
  }

  Heap& heap_;
  const uint64_t seed_;
  std::atomic<uint64_t> next_{1};
  std::array<Place, kPlaces> places_;
  std::array<AtomicWeak<T>, 4> latest_;
  std::array<Post, 32> posts_;
  WeakValueMap<uint64_t, T> found_;  // by number, all that there ever was
  WeakSet<T> set_;
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
  story.DropAll();
  program.Expect(g_begun.load() == g_ended.load(), g_begun.load() - g_ended.load(),
                 "objects outlive their last root");
  program.Expect(g_files.load() == 0, g_files.load(), "files outlive all handles");
  program.Expect(DefaultHeap().Stats().raw_blocks == 0, DefaultHeap().Stats().raw_blocks,
                 "cells outlive all handles");
  program.Require(heap.Verify());
}

int Run(int argc, char** argv) {
  Program program("weak_handles_stress", argc, argv);
  HeapOptions options = EagerOptions();
  options.marker_threads = program.seed() % 2 == 0 ? 1 : 2;
  const std::unique_ptr<Heap> heap = NewHeap(options);
  Story<Leaf> leaves(*heap, program.seed());
  Story<Node> nodes(*heap, program.seed());
  for (uint64_t round = 1; program.Running(); ++round) {
    if (round % 4 == 0) {
      RunRound(program, *heap, leaves, round);
    } else {
      RunRound(program, *heap, nodes, round);
    }
    program.Progress("objects", g_begun.load(), "locked", g_locked.load(), "null", g_null.load(),
                     "called", g_called.load(), "collections", heap->Stats().collections);
  }
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
