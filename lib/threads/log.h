// The log: where the deletion barrier writes overwritten edges (reef/internal/slot.h), from the
// collector's side, and the pool of its chunks.
//
// While a collection is armed, a slot's thread appends to its chain of chunks inside brackets. The
// collector reads behind it, after a rendezvous, and recycles the chunks it has passed. Once the
// barrier is off and a rendezvous has passed, nobody appends, and the collector discards all logs.
#ifndef REEF_LIB_THREADS_LOG_H_
#define REEF_LIB_THREADS_LOG_H_

#include <cstdint>
#include <mutex>

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::threads {

using internal::Header;
using internal::Slot;

// Calls `function(header)` for each entry that was not taken before; returns how many there were.
// Collector thread, after a rendezvous.
template <typename Function>
uint64_t TakeLog(Slot& slot, Function function);

// Empties all logs. Collector thread; the barrier is off.
void DiscardLogs();
// True if some thread found no memory for its log since the last DiscardLogs.
bool AnyLogLost();

// For fork, which holds it meanwhile.
std::mutex& LogPoolMutex();

// A chunk for reading on: the one after `chunk`, which goes back to the pool.
internal::LogChunk* PassChunk(Slot& slot, internal::LogChunk* chunk);

template <typename Function>
uint64_t TakeLog(Slot& slot, Function function) {
  uint64_t count = 0;
  internal::LogChunk* chunk = slot.first_log.load(std::memory_order_acquire);
  while (chunk != nullptr) {
    const uint32_t used = chunk->used.load(std::memory_order_acquire);
    for (; chunk->taken < used; ++chunk->taken, ++count) function(chunk->entries[chunk->taken]);
    if (chunk->next.load(std::memory_order_acquire) == nullptr) break;
    // The thread has moved on, so `used` is final; but it may have grown since it was read.
    if (chunk->taken != chunk->used.load(std::memory_order_acquire)) continue;
    chunk = PassChunk(slot, chunk);
  }
  return count;
}

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_LOG_H_
