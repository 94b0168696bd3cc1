#include "lib/collector/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include "lib/os/fork.h"

namespace reef::collector {
namespace {

using Markers = std::vector<std::unique_ptr<Marker>>;

// In the child of a fork oneTBB's workers are gone, and it does not know.
bool CanUseTbb() { return os::ForkGeneration() == 0; }

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

// Starts the others, runs the first here, and waits. Memory or threads may be exhausted: then fewer
// have been started.
void RunOnArena(Crew& crew, size_t* started, bool* first_has_run) {
  const size_t count = crew.markers.size();
  // No more than oneTBB will lend: what is left over runs one after the other.
  const int most = tbb::this_task_arena::max_concurrency();
  tbb::task_arena arena(std::min(static_cast<int>(count), most));
  arena.execute([&] {
    tbb::task_group group;
    g_crew.store(&crew, std::memory_order_release);  // the group has been made by then as well
    try {
      // A worker that starts late finds the pool empty and leaves at once.
      for (; *started < count; ++*started) group.run([] { RunTask(); });
    } catch (const std::exception&) {
    }
    *first_has_run = true;
    crew.Run(0);
    group.wait();
  });
}

// The same on threads of their own. Those run no tasks, and so take up no other marker.
void RunOnThreads(Crew& crew, size_t* started) {
  std::vector<std::thread> threads;
  try {
    for (; *started < crew.markers.size(); ++*started) {
      threads.emplace_back([&crew, index = *started] { crew.Run(index); });
    }
  } catch (const std::exception&) {
  }
  crew.Run(0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

void RunIsolated(void (*work)()) {
  if (!CanUseTbb()) return work();
  bool done = false;
  try {
    tbb::this_task_arena::isolate([&done, work] {
      done = true;
      work();
    });
  } catch (const std::exception&) {
  }
  // oneTBB has no memory, and so no tasks here that could be taken up.
  if (!done) work();
}

void RunMarkers(const Markers& markers) {
  Crew crew(markers);
  size_t started = 1;
  bool first_has_run = false;
  if (CanUseTbb()) {
    try {
      RunOnArena(crew, &started, &first_has_run);
    } catch (const std::exception&) {
    }
  } else {
    RunOnThreads(crew, &started);
    first_has_run = true;
  }
  // Those that could not be started run here, one after the other.
  if (!first_has_run) crew.Run(0);
  for (size_t i = started; i < markers.size(); ++i) crew.Run(i);
}

}  // namespace reef::collector
