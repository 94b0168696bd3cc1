// What runs finalizers and weak callbacks: the task and the executor of reef/finalizer.h.
#ifndef REEF_INTERNAL_FINALIZER_TASK_H_
#define REEF_INTERNAL_FINALIZER_TASK_H_

#include <functional>
#include <utility>

#include "reef/internal/header.h"

namespace reef {

namespace internal {
struct WeakRecord;
// True while the object's finalizer has yet to be taken.
bool IsFinalizable(const Header* header);
void Rearm(Header* header);
}  // namespace internal

// One finalizer or weak callback that is due, handed to an executor. Runs once, by a call or, at
// the latest, by its destructor: nothing is lost with a queue. One that has run, or was moved from,
// does nothing. What its function throws goes to the unraisable hook. Any thread, also inside a
// ReadScope, in which the function then runs as it would at a drop there.
class FinalizerTask {
 public:
  FinalizerTask(FinalizerTask&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)),
        record_(std::exchange(other.record_, nullptr)) {}
  FinalizerTask& operator=(FinalizerTask&& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(record_, other.record_);
    return *this;
  }
  FinalizerTask(const FinalizerTask&) = delete;
  FinalizerTask& operator=(const FinalizerTask&) = delete;
  ~FinalizerTask() { (*this)(); }

  void operator()() noexcept;

  // Engine use.
  explicit FinalizerTask(internal::Header* object) : object_(object) {}
  explicit FinalizerTask(internal::WeakRecord* record) : record_(record) {}

 private:
  internal::Header* object_ = nullptr;
  internal::WeakRecord* record_ = nullptr;
};

// What runs a heap's finalizers and weak callbacks in place of the thread on which they fall due.
// Called on that thread, outside of the engine's operations; keeps the task and returns soon. What
// it throws goes to the unraisable hook, and the task runs there and then.
using FinalizerExecutor = std::function<void(FinalizerTask)>;

}  // namespace reef

#endif  // REEF_INTERNAL_FINALIZER_TASK_H_
