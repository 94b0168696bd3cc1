#include "lib/collector/parallel.h"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__SANITIZE_THREAD__)
#define REEF_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REEF_THREAD_SANITIZER 1
#endif
#endif

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include "lib/os/fork.h"

namespace reef::collector {

namespace {

// The sanitizer does not see how oneTBB hands a task over, and what it reports of that would have
// to be suppressed along with the markers' own code. In the child of a fork oneTBB's workers are
// gone, and it does not know.
bool CanUseTbb() {
#if defined(REEF_THREAD_SANITIZER)
  return false;
#else
  return os::ForkGeneration() == 0;
#endif
}

template <typename Run>
void RunOnThreads(size_t count, const Run& run) {
  std::vector<std::thread> threads;
  size_t started = 1;
  try {
    for (; started < count; ++started) threads.emplace_back([&run, started] { run(started); });
  } catch (const std::system_error&) {
    // What is left over runs here, afterwards.
  }
  run(0);
  for (size_t i = started; i < count; ++i) run(i);
  for (std::thread& thread : threads) thread.join();
}

template <typename Run>
void RunOnTbb(size_t count, const Run& run) {
  // No more than oneTBB will lend: what is left over runs one after the other.
  const int most = tbb::this_task_arena::max_concurrency();
  tbb::task_arena arena(std::min(static_cast<int>(count), most));
  arena.execute([&] {
    tbb::task_group group;
    // A worker that starts late finds the pool empty and leaves at once.
    for (size_t i = 1; i < count; ++i) group.run([&run, i] { run(i); });
    run(0);
    group.wait();
  });
}

}  // namespace

void RunIsolated(void (*work)()) {
  if (!CanUseTbb()) return work();
  tbb::this_task_arena::isolate([work] { work(); });
}

void RunMarkers(const std::vector<std::unique_ptr<Marker>>& markers) {
  MarkPool pool;
  // The mutex orders the markers' work for the sanitizer, which does not see into oneTBB.
  std::mutex order;
  const auto run = [&](size_t index) {
    { const std::lock_guard<std::mutex> lock(order); }
    pool.Join();
    markers[index]->Run(&pool);
    const std::lock_guard<std::mutex> lock(order);
  };
  if (CanUseTbb()) {
    RunOnTbb(markers.size(), run);
  } else {
    RunOnThreads(markers.size(), run);
  }
  const std::lock_guard<std::mutex> lock(order);
}

}  // namespace reef::collector
