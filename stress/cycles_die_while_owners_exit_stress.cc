// Rings whose objects belong to several threads become garbage just as these threads end, while
// collections run without a break: bias is taken from owners that are ending, slots are taken over
// in the middle of a collection, logs and pending lists are left behind.

#include <array>
#include <atomic>
#include <cstddef>
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

struct Link {
  explicit Link(uint64_t number) : stamp(number) {
    g_begun.fetch_add(1, std::memory_order_relaxed);
  }
  ~Link() {
    if (stamp == 0) {
      std::fprintf(stderr, "cycles_die_while_owners_exit_stress: an object dies twice at %p\n",
                   static_cast<void*>(this));
      std::abort();
    }
    stamp = 0;
    g_ended.fetch_add(1, std::memory_order_release);
  }
  void Trace(Visitor& v) const { v.Visit(next, more, across); }
  uint64_t stamp;
  Member<Link> next;
  Vector<Link> more;
  AtomicMember<Link> across;  // from thread to thread, without a lock
};

// Where threads find what others have left; the threads are gone by then, or about to go.
struct Shelf {
  std::mutex mutex;
  std::vector<Ref<Link>> refs;
};
constexpr size_t kShelves = 4;

class Story {
 public:
  Story(Heap& heap, uint64_t seed) : heap_(heap), seed_(seed) {}

  // The life of one short thread: makes rings, ties them to others' rings, leaves some, and ends.
  void Live(uint64_t thread) {
    std::mt19937_64 random(seed_ + thread * 0x9e37'79b9);
    std::vector<Ref<Link>> rings;
    for (size_t count = 1 + Below(random, 20); count != 0; --count) {
      rings.push_back(MakeRing(random));
      if (Below(random, 2) == 0) Tie(random, rings.back());
      if (Below(random, 3) == 0) Leave(random, rings.back());
    }
    // The last references go on another thread's behalf, or with this thread's stack.
    if (Below(random, 2) == 0) rings.clear();
  }

  void DropAll() {
    for (Shelf& shelf : shelves_) shelf.refs.clear();
    for (AtomicRef<Link>& post : posts_) post.Store(nullptr);
  }

 private:
  Ref<Link> MakeRing(std::mt19937_64& random) {
    Ref<Link> first = heap_.Make<Link>(random() | 1);
    Ref<Link> last = first;
    for (size_t count = Below(random, 8); count != 0; --count) {
      Ref<Link> link = heap_.Make<Link>(random() | 1);
      link->next = std::move(last);
      if (Below(random, 4) == 0) link->more.push_back(first);
      last = std::move(link);
    }
    first->next = std::move(last);
    return first;
  }
  // An edge from the ring to what another thread has made, and perhaps one back.
  void Tie(std::mt19937_64& random, const Ref<Link>& ring) {
    Ref<Link> other = Take(random);
    if (!other) other = posts_[Below(random, kShelves)].Load();
    if (!other) return;
    ring->more.push_back(other);
    if (Below(random, 2) == 0) other->across.Store(ring);
    if (Below(random, 4) == 0) posts_[Below(random, kShelves)].Store(std::move(other));
  }
  void Leave(std::mt19937_64& random, const Ref<Link>& ring) {
    Shelf& shelf = shelves_[Below(random, kShelves)];
    Ref<Link> out;  // dropped without the lock
    const std::lock_guard<std::mutex> lock(shelf.mutex);
    if (shelf.refs.size() > 50) {
      std::swap(shelf.refs[Below(random, shelf.refs.size())], shelf.refs.back());
      out = std::move(shelf.refs.back());
      shelf.refs.pop_back();
    }
    shelf.refs.push_back(ring);
  }
  Ref<Link> Take(std::mt19937_64& random) {
    Shelf& shelf = shelves_[Below(random, kShelves)];
    const std::lock_guard<std::mutex> lock(shelf.mutex);
    if (shelf.refs.empty()) return nullptr;
    Ref<Link>& found = shelf.refs[Below(random, shelf.refs.size())];
    if (Below(random, 2) == 0) return found;
    std::swap(found, shelf.refs.back());
    Ref<Link> taken = std::move(shelf.refs.back());
    shelf.refs.pop_back();
    return taken;
  }

  Heap& heap_;
  const uint64_t seed_;
  std::array<Shelf, kShelves> shelves_;
  std::array<AtomicRef<Link>, kShelves> posts_;
};

int Run(int argc, char** argv) {
  Program program("cycles_die_while_owners_exit_stress", argc, argv);
  HeapOptions options = EagerOptions();
  options.marker_threads = program.seed() % 2 == 0 ? 1 : 2;
  const std::unique_ptr<Heap> heap = NewHeap(options);
  Story story(*heap, program.seed());
  constexpr int kLives = kSlowBuild ? 50 : 400;  // of threads, one after the other, in one round
  uint64_t ended = 0;
  for (uint64_t round = 1; program.Running(); ++round) {
    std::atomic<bool> stop{false};
    std::thread collector([&] {
      while (!stop.load(std::memory_order_relaxed)) (void)heap->Collect();
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
    ended += static_cast<uint64_t>(program.threads() * kLives);
    if (round % 2 == 0) {
      story.DropAll();
      (void)heap->Collect();
      program.Expect(g_begun.load() == g_ended.load(), g_begun.load() - g_ended.load(),
                     "objects outlive their last root: completeness");
      program.Expect(heap->Stats().live_objects == 0, "an empty heap after the last root");
      program.Require(heap->Verify());
    }
    program.Progress("threads", ended, "objects", g_begun.load(), "alive",
                     g_begun.load() - g_ended.load(), "collections", heap->Stats().collections);
  }
  story.DropAll();
  (void)heap->Collect();
  program.Expect(g_begun.load() == g_ended.load(), "nothing is left");
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
