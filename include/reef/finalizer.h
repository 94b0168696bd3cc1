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
// statement ends; after a collection on the collector thread; and there, too, where a death comes
// late: of an object that is biased to another thread (reef/ref.h), of what a published one held
// (reef/atomic.h), of what HeapOptions::drop_budget or Ref::DropLater has left. Or, all of them, by
// the heap's finalizer_executor.
//
// In which order: of what a collection finds, all finalizers run before any destructor, also of
// what one of them drops; of what a drop kills, each runs after the destructor of the object that
// held it. An executor's tasks are each for themselves: what becomes unreachable by one dies at its
// end, before the next. The finalizer comes before the object's callbacks and its destructor in any
// case (reef/weak.h).
//
// Heap::Collect is refused inside one, also in an executor's task. What it throws goes to the
// unraisable hook. A class whose member named Finalize cannot be called so, because it is private,
// hidden, or takes something else, does not compile in Make.
//
// Follows Python's __del__ (PEP 442).
#ifndef REEF_FINALIZER_H_
#define REEF_FINALIZER_H_

#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "reef/internal/finalizer_task.h"
#include "reef/internal/header.h"
#include "reef/internal/type_info.h"
#include "reef/ref.h"

namespace reef {

// An executor for threads of the program's choice, an event loop's for example: tasks wait until
// somebody drains them. Must outlive the heaps that use it, and those of their objects that outlive
// them (HeapEnd). What it holds when it ends runs then, and what comes of that. All functions: any
// thread.
class FinalizerQueue {
 public:
  FinalizerQueue() = default;
  ~FinalizerQueue() {
    while (Drain() != 0) {
    }
  }
  FinalizerQueue(const FinalizerQueue&) = delete;
  FinalizerQueue& operator=(const FinalizerQueue&) = delete;

  // For HeapOptions::finalizer_executor. Where there is no memory to keep a task it runs at once
  // (FinalizerExecutor).
  FinalizerExecutor Executor() {
    return [this](FinalizerTask task) {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
    };
  }
  // Runs what was there when it was called, the oldest first; returns how many that were. Allocates
  // nothing. A task may call it: that runs what has come since.
  size_t Drain() {
    std::vector<FinalizerTask> tasks;
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
  std::vector<FinalizerTask> tasks_;
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
//
// Inside the object's own Finalize it counts if something refers to the object when that returns;
// otherwise the object dies all the same. What refers to it may be a cycle that nobody else keeps:
// then Finalize runs again in each collection until it leaves that alone. Of an object whose own
// type hides the Finalize of T: checked builds abort, others do nothing.
template <typename T>
  requires internal::HasFinalize<T>
void RearmFinalizer(const Ref<T>& ref) noexcept {
  if (ref) internal::Rearm(internal::Header::Of(ref.get()));
}

}  // namespace reef

#endif  // REEF_FINALIZER_H_
