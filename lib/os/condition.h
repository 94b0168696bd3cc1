// Condition: a condition variable that a fork cannot break.
//
// std::condition_variable counts its waiters; in the child of a fork those that waited are gone,
// and the count is not: a later notification may wait for them for ever. This one is a futex word
// that every notification changes, and knows of nobody. Constant-initialised, never destroyed.
//
// Beyond the standard's: notify_all must be called with the mutex held.
#ifndef REEF_LIB_OS_CONDITION_H_
#define REEF_LIB_OS_CONDITION_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "lib/os/clock.h"
#include "lib/os/futex.h"

namespace reef::os {

class Condition {
 public:
  constexpr Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  template <typename Predicate>
  void wait(std::unique_lock<std::mutex>& lock, Predicate predicate) {
    while (!predicate()) Sleep(lock, Nanoseconds(-1));
  }
  // False if the predicate still does not hold when the time is over.
  template <typename Predicate>
  bool wait_for(std::unique_lock<std::mutex>& lock, Nanoseconds time, Predicate predicate) {
    const Nanoseconds deadline = Now() + time;
    while (!predicate()) {
      const Nanoseconds left = deadline - Now();
      if (left.count() <= 0) return false;
      Sleep(lock, left);
    }
    return true;
  }
  void notify_all() {
    changes_.fetch_add(1, std::memory_order_relaxed);
    FutexWakeAll(changes_);
  }

 private:
  void Sleep(std::unique_lock<std::mutex>& lock, Nanoseconds time) {
    // Relaxed: changed under the mutex. A change between the unlocking and the sleep is seen by the
    // futex.
    const uint32_t seen = changes_.load(std::memory_order_relaxed);
    lock.unlock();
    FutexWait(changes_, seen, time);
    lock.lock();
  }

  std::atomic<uint32_t> changes_{0};
};

}  // namespace reef::os

#endif  // REEF_LIB_OS_CONDITION_H_
