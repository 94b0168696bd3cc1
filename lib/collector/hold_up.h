// HoldUp: whether the program's own code holds the collector's thread up.
//
// The collector runs destructors, finalizers and callbacks, each in a window of its work
// (lib/os/fork.h), and these may wait for a lock that a thread holds which itself waits for the
// collector. Such a thread looks here. The collector is held up if it has stood in one window for
// some patience without opening a bracket, or in any case for kLongPatience: user code that goes on
// counting and allocating is at work, but need not come to an end.
//
// Looks of different threads are one row of looks: who comes when it has been standing for long
// knows it at once.
#ifndef REEF_LIB_COLLECTOR_HOLD_UP_H_
#define REEF_LIB_COLLECTOR_HOLD_UP_H_

#include <cstdint>

#include "lib/os/clock.h"
#include "reef/internal/slot.h"

namespace reef::collector {

// Under the collector's mutex.
class HoldUp {
 public:
  static constexpr os::Nanoseconds kPatience = std::chrono::seconds(1);
  static constexpr os::Nanoseconds kPatienceOfAnEnd = std::chrono::seconds(5);
  static constexpr os::Nanoseconds kLongPatience = std::chrono::seconds(10);

  // The thread that does the collector's work from now on. Slots are never freed.
  void SetWorker(const internal::Slot* worker) { worker_ = worker; }
  // Looks. To be called again and again.
  bool Lasts(os::Nanoseconds now, os::Nanoseconds patience = kPatience);

 private:
  const internal::Slot* worker_ = nullptr;
  // As of the last look.
  uint64_t window_ = 0;
  uint64_t brackets_ = 0;
  os::Nanoseconds entered_{};  // when the window was first seen
  os::Nanoseconds stands_{};   // when this number of brackets was
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_HOLD_UP_H_
