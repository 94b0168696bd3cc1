// Raw blocks and objects of random sizes, from one byte to runs of several MiB, at random
// alignments, freed by threads other than those that took them; every block carries a pattern that
// is checked before it goes. After each round's peak the memory must go back to the system.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
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

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Fills the first and last kilobyte, all of what is smaller, and a word of every page between.
class Pattern {
 public:
  static void Fill(void* start, size_t bytes, uint8_t stamp) {
    auto* const block = static_cast<uint8_t*>(start);
    const size_t edge = std::min(bytes, kEdge);
    std::memset(block, stamp, edge);
    std::memset(block + bytes - edge, stamp, edge);
    for (size_t i = kEdge; i + kEdge < bytes; i += kPage) block[i] = stamp;
  }
  static bool Holds(const void* start, size_t bytes, uint8_t stamp) {
    const auto* const block = static_cast<const uint8_t*>(start);
    const size_t edge = std::min(bytes, kEdge);
    for (size_t i = 0; i < edge; ++i) {
      if (block[i] != stamp || block[bytes - 1 - i] != stamp) return false;
    }
    for (size_t i = kEdge; i + kEdge < bytes; i += kPage) {
      if (block[i] != stamp) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kEdge = 1024;
  static constexpr size_t kPage = 4096;
};

[[noreturn]] void Damaged(const void* block, size_t bytes) {
  std::fprintf(stderr, "memory_stress: a block of %zu bytes at %p is damaged\n", bytes, block);
  std::abort();
}

[[noreturn]] void Misaligned(const void* block, size_t alignment) {
  std::fprintf(stderr, "memory_stress: the block at %p is not aligned to %zu\n", block, alignment);
  std::abort();
}

// Objects of several sizes, up to a run; a leaf and a traced one of each.
template <size_t kBytes>
struct Leaf {
  explicit Leaf(uint8_t value) : stamp(value) { Pattern::Fill(data, kBytes, value); }
  ~Leaf() {
    if (!Pattern::Holds(data, kBytes, stamp)) Damaged(data, kBytes);
  }
  uint8_t stamp;
  uint8_t data[kBytes];
};

struct Holder {
  void Trace(Visitor& v) const { v.Visit(next, self); }
  Member<Holder> next;
  Member<Holder> self;
};
template <size_t kBytes>
struct Traced : Holder {
  explicit Traced(uint8_t value) : leaf(value) {}
  Leaf<kBytes> leaf;
};

struct Block {
  void* start = nullptr;
  size_t bytes = 0;
  uint8_t stamp = 0;
};

class Story {
 public:
  Story(Heap& heap, int threads, uint64_t seed)
      : heap_(heap), seed_(seed), queues_(static_cast<size_t>(threads)) {}

  void Work(size_t index, uint64_t round, size_t steps) {
    std::mt19937_64 random(seed_ + round * 1'000'003 + index * 104'729);
    std::vector<Block> held;
    std::deque<Ref<Holder>> objects;
    for (size_t step = 0; step < steps; ++step) {
      const size_t draw = Below(random, 16);
      if (draw < 7) {
        held.push_back(Take(random));
      } else if (draw < 11) {
        if (!held.empty()) Free(PickOut(random, &held));
      } else if (draw < 13) {
        if (!held.empty()) Push(Below(random, queues_.size()), PickOut(random, &held));
      } else if (draw == 13) {
        Receive(index);
      } else if (draw == 14) {
        MakeObject(random, &objects);
      } else if (!objects.empty()) {
        objects.pop_front();
      }
      while (held.size() > kMostHeld) Free(PickOut(random, &held));
      while (objects.size() > kMostHeld) objects.pop_front();
    }
    while (!held.empty()) {
      if (Below(random, 2) == 0) {
        Free(PickOut(random, &held));
      } else {
        Push(Below(random, queues_.size()), PickOut(random, &held));
      }
    }
  }

  void FreeAll() {
    for (size_t i = 0; i < queues_.size(); ++i) Receive(i);
  }
  uint64_t blocks() const { return blocks_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kMostHeld = 300;

  struct Queue {
    std::mutex mutex;
    std::vector<Block> blocks;
  };

  static Block PickOut(std::mt19937_64& random, std::vector<Block>* held) {
    std::swap((*held)[Below(random, held->size())], held->back());
    const Block block = held->back();
    held->pop_back();
    return block;
  }

  // Each power of two is as likely as the next, but large ones are rare.
  static size_t RandomBytes(std::mt19937_64& random) {
    const size_t draw = Below(random, 1000);
    const size_t most = draw < 900 ? 12 : draw < 990 ? 16 : draw < 998 ? 20 : 23;
    const size_t top = size_t{1} << Below(random, most + 1);
    return top + Below(random, top);
  }
  Block Take(std::mt19937_64& random) {
    Block block;
    block.bytes = RandomBytes(random);
    block.stamp = static_cast<uint8_t>(random());
    if (Below(random, 4) == 0) {
      const size_t alignment = size_t{1} << Below(random, 17);
      block.start = heap_.Allocate(block.bytes, alignment);
      // As with malloc, a block smaller than the default alignment need not have it.
      const size_t had = alignment <= alignof(std::max_align_t) && block.bytes < alignment
                             ? alignof(void*)
                             : alignment;
      if (reinterpret_cast<uintptr_t>(block.start) % had != 0) Misaligned(block.start, had);
    } else {
      block.start = heap_.Allocate(block.bytes);
    }
    Pattern::Fill(block.start, block.bytes, block.stamp);
    blocks_.fetch_add(1, std::memory_order_relaxed);
    return block;
  }
  void Free(const Block& block) {
    if (!Pattern::Holds(block.start, block.bytes, block.stamp)) Damaged(block.start, block.bytes);
    heap_.Deallocate(block.start);
  }
  void Push(size_t to, const Block& block) {
    Queue& queue = queues_[to];
    const std::lock_guard<std::mutex> lock(queue.mutex);
    queue.blocks.push_back(block);
  }
  void Receive(size_t index) {
    std::vector<Block> received;
    {
      const std::lock_guard<std::mutex> lock(queues_[index].mutex);
      received.swap(queues_[index].blocks);
    }
    for (const Block& block : received) Free(block);
  }

  template <size_t kBytes>
  Ref<Holder> MakeHolder(uint8_t stamp) {
    const Ref<Leaf<kBytes>> leaf = heap_.Make<Leaf<kBytes>>(stamp);
    if (!Pattern::Holds(leaf->data, kBytes, stamp)) Damaged(leaf->data, kBytes);
    return heap_.Make<Traced<kBytes>>(stamp);
  }
  void MakeObject(std::mt19937_64& random, std::deque<Ref<Holder>>* objects) {
    const auto stamp = static_cast<uint8_t>(random());
    Ref<Holder> object;
    switch (Below(random, 40)) {
      case 0:
        object = MakeHolder<300'000>(stamp);
        break;
      case 1:
      case 2:
        object = MakeHolder<40'000>(stamp);
        break;
      case 3:
      case 4:
      case 5:
        object = MakeHolder<9000>(stamp);
        break;
      default:
        object = Below(random, 2) == 0 ? MakeHolder<24>(stamp) : MakeHolder<700>(stamp);
        break;
    }
    if (!objects->empty()) object->next = objects->back();
    if (objects->size() % 16 == 0) {  // cuts the chain, and leaves a cycle to the collector
      object->next.Reset();
      object->self = object;
    }
    objects->push_back(std::move(object));
  }

  Heap& heap_;
  const uint64_t seed_;
  std::vector<Queue> queues_;
  std::atomic<uint64_t> blocks_{0};
};

// Polls until the heap holds no more than `most` bytes of memory; false if it does not in time.
bool ShrinksTo(const Heap& heap, uint64_t most) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kSlowBuild ? 20 : 5);
  while (heap.Stats().committed_bytes > most) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

int Run(int argc, char** argv) {
  Program program("memory_stress", argc, argv);
  const std::unique_ptr<Heap> heap = NewHeap(EagerOptions());
  Story story(*heap, program.threads(), program.seed());
  for (uint64_t round = 1; program.Running(); ++round) {
    RunThreads(program.threads(), [&](int i) {
      story.Work(static_cast<size_t>(i), round, kSlowBuild ? 4000 : 30'000);
    });
    const uint64_t peak = heap->Stats().committed_bytes;
    story.FreeAll();
    (void)heap->Collect();
    const HeapStats stats = heap->Stats();
    program.Expect(stats.raw_blocks == 0, stats.raw_blocks, "raw blocks are in use: none");
    program.Expect(stats.live_objects == 0, stats.live_objects, "objects are left: none");
    program.Require(heap->Verify());
    if (round % 5 == 0) {
      program.Expect(ShrinksTo(*heap, 24 * kMiB), heap->Stats().committed_bytes / kMiB,
                     "MiB are kept after a peak of", peak / kMiB, "MiB: promise");
    }
    program.Progress("round", round, "blocks", story.blocks(), "peak MiB", peak / kMiB, "now MiB",
                     heap->Stats().committed_bytes / kMiB);
  }
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
