#include "lib/threads/log_pool.h"

#include <atomic>
#include <cstddef>
#include <new>

#include "lib/os/chaos.h"
#include "lib/os/pages.h"

namespace reef::threads {
namespace {

using internal::LogChunk;

constexpr size_t kChunkBytes =
    (sizeof(LogChunk) + os::kPageBytes - 1) / os::kPageBytes * os::kPageBytes;

// Acquire when taken, release when filled: the last reader's look at the chunk comes before the
// next life of it.
constinit std::atomic<LogChunk*> g_places[kMaxPooledChunks];

}  // namespace

LogChunk* TakeChunk() {
  for (auto& place : g_places) {
    // Relaxed: a hint that spares the exchange.
    if (place.load(std::memory_order_relaxed) == nullptr) continue;
    REEF_CHAOS_POINT("log chunk seen, not taken");
    if (LogChunk* chunk = place.exchange(nullptr, std::memory_order_acquire)) {
      return new (chunk) LogChunk;
    }
  }
  void* memory = os::Reserve(kChunkBytes, os::kPageBytes);
  return memory == nullptr ? nullptr : new (memory) LogChunk;
}

void PutChunk(LogChunk* chunk) {
  for (auto& place : g_places) {
    LogChunk* empty = nullptr;
    if (place.load(std::memory_order_relaxed) != nullptr) continue;
    REEF_CHAOS_POINT("place for a log chunk seen, not filled");
    if (place.compare_exchange_strong(empty, chunk, std::memory_order_release,
                                      std::memory_order_relaxed)) {
      return;
    }
  }
  os::Unmap(chunk, kChunkBytes);
}

}  // namespace reef::threads
