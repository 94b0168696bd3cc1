#include "lib/os/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace reef::os {

void FutexWait(const std::atomic<uint32_t>& word, uint32_t value,
               std::chrono::nanoseconds timeout) {
  timespec limit{};
  timespec* limit_or_none = nullptr;
  if (timeout.count() >= 0) {
    limit.tv_sec = static_cast<time_t>(timeout.count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(timeout.count() % 1'000'000'000);
    limit_or_none = &limit;
  }
  (void)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, limit_or_none, nullptr, 0);
}

void FutexWakeAll(const std::atomic<uint32_t>& word) {
  (void)syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace reef::os
