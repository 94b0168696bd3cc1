// The pool of log chunks: kept from one collection for the next one.
//
// It is a row of places, each empty or with one chunk. A taker exchanges a place for null, so what
// it got is nobody else's; a giver fills an empty place by compare-exchange. No thread ever reads a
// chunk that it does not hold: there is no link to misread, a chunk that went and came back does no
// harm, and one for which there is no place may be unmapped at once. Progress: a pass over the
// places at most, whatever other threads are at, also one that stands still in here. Beyond that,
// memory is mapped or unmapped, which the system may make wait.
#ifndef REEF_LIB_THREADS_LOG_POOL_H_
#define REEF_LIB_THREADS_LOG_POOL_H_

#include "reef/internal/slot.h"

namespace reef::threads {

// Chunks kept at most; beyond it memory goes back at once.
inline constexpr int kMaxPooledChunks = 256;

// An empty chunk; null when no memory can be had. Any thread.
internal::LogChunk* TakeChunk();
// Gives up a chunk that nobody reads any more. Any thread.
void PutChunk(internal::LogChunk* chunk);

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_LOG_POOL_H_
