#include "lib/collector/parallel.h"

#include <algorithm>
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

void RunIsolated(void (*work)()) {
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
#if defined(REEF_THREAD_SANITIZER)
  // The sanitizer does not see how oneTBB hands a task over, and what it reports of that would have
  // to be suppressed along with the markers' own code.
  std::vector<std::thread> threads;
  for (size_t i = 1; i < markers.size(); ++i) threads.emplace_back([&run, i] { run(i); });
  run(0);
  for (std::thread& thread : threads) thread.join();
#else
  // No more than oneTBB will lend: what is left over runs one after the other.
  const int most = tbb::this_task_arena::max_concurrency();
  tbb::task_arena arena(std::min(static_cast<int>(markers.size()), most));
  arena.execute([&] {
    tbb::task_group group;
    // A worker that starts late finds the pool empty and leaves at once.
    for (size_t i = 1; i < markers.size(); ++i) group.run([&run, i] { run(i); });
    run(0);
    group.wait();
  });
#endif
  const std::lock_guard<std::mutex> lock(order);
}

}  // namespace reef::collector
