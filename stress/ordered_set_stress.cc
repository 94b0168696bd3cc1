// A lock-free ordered set, hammered by threads that come and go, while collections run all the
// time: marked edges, comparisons with peeked pointers, upgrades of peeked pointers, removed nodes
// that others still stand on. Keys of one thread's own must be there exactly when that thread says
// so; common keys must add up; and at rest the heap holds what is in the set and nothing else.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "docs/examples/lock_free/ordered_set.h"
#include "reef/reef.h"
#include "stress/program.h"

namespace reef::stress {
namespace {

std::atomic<int64_t> g_keys{0};

// A key that knows how many of its kind there are, and whether it is still one.
class Key {
 public:
  explicit Key(uint64_t value) : value_(value) { g_keys.fetch_add(1, std::memory_order_relaxed); }
  Key(const Key& other) : Key(other.Checked()) {}
  ~Key() {
    value_ = kGone;
    g_keys.fetch_sub(1, std::memory_order_release);
  }
  Key& operator=(const Key&) = delete;

  bool operator<(const Key& other) const { return Checked() < other.Checked(); }

 private:
  static constexpr uint64_t kGone = ~uint64_t{0};
  uint64_t Checked() const {
    if (value_ == kGone) {
      std::fprintf(stderr, "ordered_set_stress: a key was read after its destruction\n");
      std::abort();
    }
    return value_;
  }
  uint64_t value_;
};

using Set = lock_free::OrderedSet<Key>;

// The board and the sets refer to each other, so that each dropped set is a cycle's part.
struct Board {
  explicit Board(Heap& heap) : set(heap) {}
  void Trace(Visitor& v) const { v.Visit(set, self); }
  Set set;
  Member<Board> self;
};

class Story {
 public:
  Story(Heap& heap, Program& program) : heap_(heap), program_(program), common_(kCommon) {
    Renew();
  }

  void Renew() {
    board_ = heap_.Make<Board>(heap_);
    board_->self = board_;
    for (std::atomic<int>& count : common_) count.store(0, std::memory_order_relaxed);
  }
  void Drop() { board_.Reset(); }

  // One thread of one round, which leaves with its own keys removed.
  void Work(size_t index, uint64_t round, size_t steps) {
    std::mt19937_64 random(program_.seed() + round * 1'000'003 + index * 7919);
    Set& set = board_->set;
    std::vector<bool> mine(kOwn);
    for (size_t step = 0; step < steps; ++step) {
      const size_t number = Below(random, kOwn + kCommon);
      const uint64_t draw = random() % 4;
      if (number < kOwn) {
        const Key key(number * kStride + index);  // between those of the other threads
        program_.Expect(set.Contains(key) == mine[number], "Contains: what its thread knows");
        if (draw == 0) {
          program_.Expect(set.Insert(key) != mine[number], "Insert: what its thread knows");
          mine[number] = true;
        } else if (draw == 1) {
          program_.Expect(set.Remove(key) == mine[number], "Remove: what its thread knows");
          mine[number] = false;
        }
      } else {
        std::atomic<int>& count = common_[number - kOwn];
        const Key key((number - kOwn) * kStride + kStride - 1);
        if (draw == 0 && set.Insert(key)) count.fetch_add(1);
        if (draw == 1 && set.Remove(key)) count.fetch_sub(1);
      }
    }
    for (size_t number = 0; number < kOwn; ++number) {
      if (mine[number]) {
        program_.Expect(set.Remove(Key(number * kStride + index)), "the end: its own keys");
      }
    }
  }

  // At rest: the common keys that are there, and nothing else.
  void Check() {
    int64_t there = 0;
    for (size_t i = 0; i < kCommon; ++i) {
      const int count = common_[i].load();
      there += count;
      program_.Expect(board_->set.Contains(Key(i * kStride + kStride - 1)) == (count == 1) &&
                          count >= 0 && count <= 1,
                      "insertions and removals of a common key add up");
    }
    program_.Expect(g_keys.load() == there, g_keys.load(), "keys live, in the set are", there, ":");
  }

 private:
  static constexpr size_t kOwn = 12;
  static constexpr size_t kCommon = 12;
  static constexpr size_t kStride = 1024;  // more than there are threads

  Heap& heap_;
  Program& program_;
  Ref<Board> board_;
  std::vector<std::atomic<int>> common_;
};

int Run(int argc, char** argv) {
  Program program("ordered_set_stress", argc, argv);
  const std::unique_ptr<Heap> heap = NewHeap(EagerOptions());
  {
    Story story(*heap, program);
    for (uint64_t round = 1; program.Running(); ++round) {
      RunThreads(program.threads() + 1, [&](int i) {
        if (i < program.threads()) {
          story.Work(static_cast<size_t>(i), round, kSlowBuild ? 3000 : 60'000);
        } else {
          for (int n = 0; n < 10; ++n) (void)heap->Collect();
        }
      });
      (void)heap->Collect();
      story.Check();
      program.Require(heap->Verify());
      if (round % 4 == 0) {
        story.Drop();
        (void)heap->Collect();
        program.Expect(heap->Stats().live_objects == 0, heap->Stats().live_objects,
                       "objects are left of a dropped set: none");
        story.Renew();
      }
      program.Progress("round", round, "keys", g_keys.load(), "collections",
                       heap->Stats().collections);
    }
    story.Drop();
  }
  (void)heap->Collect();
  program.Expect(g_keys.load() == 0, g_keys.load(), "keys are left: none");
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
