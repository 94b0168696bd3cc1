// Clock: the monotonic time, and a pause for loops that wait for another thread.
#ifndef REEF_LIB_OS_CLOCK_H_
#define REEF_LIB_OS_CLOCK_H_

#include <sched.h>

#include <chrono>

namespace reef::os {

using Nanoseconds = std::chrono::nanoseconds;

inline Nanoseconds Now() {
  return std::chrono::duration_cast<Nanoseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

// Waits for another thread: a few processor pauses, then giving up the processor, then short
// sleeps.
class Backoff {
 public:
  void Pause();

 private:
  int rounds_ = 0;
};

}  // namespace reef::os

#endif  // REEF_LIB_OS_CLOCK_H_
