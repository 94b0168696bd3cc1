// What the threads of an oracle share: the heap, the shadows, and the places where roots change
// hands.
#ifndef REEF_STRESS_SCENE_H_
#define REEF_STRESS_SCENE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "reef/reef.h"
#include "stress/shadow.h"
#include "stress/subjects.h"

namespace reef::stress {

struct OracleOptions {
  int threads = 4;
  size_t objects = 20'000;  // numbers to give out; those of the dead are given out again
  size_t most_roots = 96;   // of each thread
  size_t steps = 20'000;    // of each thread in an epoch
};

struct Root {
  Ref<Node> ref;
  Number number = 0;
};
inline Root RootOf(Ref<Node> ref) {
  if (!ref) return {};
  ref->life.Check();
  const Number number = ref->life.number();
  return {std::move(ref), number};
}

// Roots on their way to one thread.
struct Queue {
  std::mutex mutex;
  std::deque<Root> roots;
};

// A root that all threads may replace.
struct Global {
  Number Target() const { return static_cast<Number>(sum.load(std::memory_order_relaxed)); }
  Root Exchange(Root root) {
    const Number number = root.number;
    Root old = RootOf(ref.Exchange(std::move(root.ref)));
    sum.fetch_add(uint64_t{number} - old.number, std::memory_order_relaxed);
    return old;
  }
  AtomicRef<Node> ref;
  std::atomic<uint64_t> sum{0};
};

struct Scene {
  static constexpr size_t kGlobals = 8;

  Scene(Heap& heap_in, const OracleOptions& options_in)
      : heap(heap_in),
        options(options_in),
        shadows(options.objects),
        queues(static_cast<size_t>(options.threads)) {}

  Heap& heap;
  const OracleOptions options;
  ShadowGraph shadows;
  std::vector<Queue> queues;  // one for each thread
  Global globals[kGlobals];
};

}  // namespace reef::stress

#endif  // REEF_STRESS_SCENE_H_
