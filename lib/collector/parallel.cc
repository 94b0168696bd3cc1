#include "lib/collector/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>
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

namespace reef::collector {

namespace {

// The first one runs here. The others are started; but memory or threads may be exhausted, and
// those that could not be are run here as well, one after the other.
#if defined(REEF_THREAD_SANITIZER)
// The sanitizer does not see how oneTBB hands a task over, and what it reports of that would have
// to be suppressed along with the markers' own code.
template <typename Run>
void RunOnThreads(size_t count, const Run& run) {
  std::vector<std::thread> threads;
  size_t started = 1;
  try {
    threads.reserve(count);
    for (; started < count; ++started) threads.emplace_back([&run, i = started] { run(i); });
  } catch (const std::exception&) {
  }
  run(0);
  for (size_t i = started; i < count; ++i) run(i);
  for (std::thread& thread : threads) thread.join();
}
#else
template <typename Run>
void RunOnTbb(size_t count, const Run& run) {
  size_t started = 1;
  bool first_has_run = false;
  try {
    // No more than oneTBB will lend: what is left over runs one after the other.
    const int most = tbb::this_task_arena::max_concurrency();
    tbb::task_arena arena(std::min(static_cast<int>(count), most));
    arena.execute([&] {
      tbb::task_group group;
      try {
        // A worker that starts late finds the pool empty and leaves at once.
        for (; started < count; ++started) group.run([&run, i = started] { run(i); });
      } catch (const std::exception&) {
      }
      first_has_run = true;
      run(0);
      group.wait();
    });
  } catch (const std::exception&) {
  }
  if (!first_has_run) run(0);
  for (size_t i = started; i < count; ++i) run(i);
}
#endif

}  // namespace

void RunIsolated(void (*work)()) {
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

void RunMarkers(const std::vector<std::unique_ptr<Marker>>& markers) {
  MarkPool pool;
  // The mutex orders the markers' work for the sanitizer, which does not see into oneTBB.
  std::mutex order;
  const auto run = [&](size_t index) noexcept {
    { const std::lock_guard<std::mutex> lock(order); }
    pool.Join();
    markers[index]->Run(&pool);
    const std::lock_guard<std::mutex> lock(order);
  };
#if defined(REEF_THREAD_SANITIZER)
  RunOnThreads(markers.size(), run);
#else
  RunOnTbb(markers.size(), run);
#endif
  const std::lock_guard<std::mutex> lock(order);
}

}  // namespace reef::collector
