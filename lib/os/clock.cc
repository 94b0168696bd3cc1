#include "lib/os/clock.h"

#include <time.h>

namespace reef::os {

void Backoff::Pause() {
  constexpr int kSpins = 64;
  constexpr int kYields = 256;
  if (rounds_ < kSpins) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  } else if (rounds_ < kSpins + kYields) {
    (void)sched_yield();
  } else {
    // The thread waited for has lost its processor: sleep rather than compete with it.
    const timespec nap{0, 100'000};
    (void)nanosleep(&nap, nullptr);
    return;
  }
  ++rounds_;
}

}  // namespace reef::os
