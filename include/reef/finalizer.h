// Finalizers: what an object does between its last reference and its destructor.
//
//   struct Session {
//     void Finalize(reef::Ref<Session> self);     // its presence is all it takes
//   };
//
// Finalize runs once, when the object has become unreachable and before its weak handles are
// cleared: it sees its whole graph intact, may call anything, and may store `self` or what it
// refers to somewhere reachable: then that lives on (resurrection), and will die without another
// Finalize, unless it is re-armed. If it does not, the object dies right after.
//
// Where it runs: after a counted death on the thread that dropped the last reference, before that
// statement ends; after a collection on the collector thread. Or, both, by the heap's
// finalizer_executor. Of a garbage graph that a collection finds, all finalizers run before any
// destructor. Heap::Collect is refused inside one. What it throws goes to the unraisable hook.
//
// Follows Python's __del__ (PEP 442).
#ifndef REEF_FINALIZER_H_
#define REEF_FINALIZER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "reef/internal/finalizer_task.h"
#include "reef/internal/header.h"
#include "reef/internal/type_info.h"
#include "reef/ref.h"

namespace reef {

// An executor for threads of the program's choice, an event loop's for example: tasks wait until
// somebody drains them. Must outlive the heaps that use it. All functions: any thread.
class FinalizerQueue {
 public:
  FinalizerQueue() = default;
  FinalizerQueue(const FinalizerQueue&) = delete;
  FinalizerQueue& operator=(const FinalizerQueue&) = delete;

  // For HeapOptions::finalizer_executor.
  FinalizerExecutor Executor() {
    return [this](FinalizerTask task) {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
    };
  }
  // Runs what was there when it was called, the oldest first; returns how many that were. A task
  // may call it: that runs what has come since.
  size_t Drain() {
    std::deque<FinalizerTask> tasks;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks.swap(tasks_);
    }
    for (FinalizerTask& task : tasks) task();
    return tasks.size();
  }
  size_t size() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return tasks_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::deque<FinalizerTask> tasks_;
};

// True if the object's Finalize has begun, or is queued, and was not re-armed since; of an empty
// Ref false. Only for types with Finalize. O(1).
template <typename T>
  requires internal::HasFinalize<T>
bool IsFinalized(const Ref<T>& ref) noexcept {
  return ref && !internal::IsFinalizable(internal::Header::Of(ref.get()));
}

// Lets Finalize run once more, for an object that was resurrected. Nothing changes if it has yet to
// run, nor of an empty Ref. Any thread. O(1).
template <typename T>
  requires internal::HasFinalize<T>
void RearmFinalizer(const Ref<T>& ref) noexcept {
  if (ref) internal::Rearm(internal::Header::Of(ref.get()));
}

}  // namespace reef

#endif  // REEF_FINALIZER_H_
