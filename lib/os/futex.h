// Futex: sleeping until a word changes, for the collector thread and for those who wait for it.
#ifndef REEF_LIB_OS_FUTEX_H_
#define REEF_LIB_OS_FUTEX_H_

#include <atomic>
#include <chrono>
#include <cstdint>

namespace reef::os {

// Returns when the word no longer holds `value`, when woken, after `timeout` (negative: none), or
// spuriously.
void FutexWait(const std::atomic<uint32_t>& word, uint32_t value, std::chrono::nanoseconds timeout);
void FutexWakeAll(const std::atomic<uint32_t>& word);

}  // namespace reef::os

#endif  // REEF_LIB_OS_FUTEX_H_
