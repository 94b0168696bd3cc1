#include "lib/collector/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

namespace reef::collector {
namespace {

using Markers = std::vector<std::unique_ptr<Marker>>;

// The markers at work, and what they share.
struct Crew {
  explicit Crew(const Markers& markers_in) : markers(markers_in) {}
  void Run(size_t index) {
    pool.Join();
    markers[index]->Run(&pool);
  }

  const Markers& markers;
  MarkPool pool;
  // Relaxed: each task takes a marker of its own, nothing is passed with the number.
  std::atomic<size_t> next{1};
};

// Release by the caller before the tasks begin, acquire by each task. oneTBB orders the two as
// well, but inside its library, where the thread sanitizer does not see it: so the tasks carry no
// data of their own, and this is their edge. The way back is the group's count of its tasks, an
// atomic that both ends touch in oneTBB's headers.
std::atomic<Crew*> g_crew{nullptr};

void RunTask() {
  Crew& crew = *g_crew.load(std::memory_order_acquire);
  crew.Run(crew.next.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace

void RunIsolated(void (*work)()) {
  tbb::this_task_arena::isolate([work] { work(); });
}

void RunMarkers(const Markers& markers) {
  Crew crew(markers);
  // No more than oneTBB will lend: what is left over runs one after the other.
  const int most = tbb::this_task_arena::max_concurrency();
  tbb::task_arena arena(std::min(static_cast<int>(markers.size()), most));
  arena.execute([&crew] {
    tbb::task_group group;
    g_crew.store(&crew, std::memory_order_release);  // the group has been made by then as well
    // A worker that starts late finds the pool empty and leaves at once.
    for (size_t i = 1; i < crew.markers.size(); ++i) group.run([] { RunTask(); });
    crew.Run(0);
    group.wait();
  });
}

}  // namespace reef::collector
