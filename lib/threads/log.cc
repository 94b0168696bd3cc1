#include "lib/threads/log.h"

#include <mutex>
#include <new>

#include "lib/os/pages.h"
#include "lib/threads/slot_registry.h"

namespace reef::threads {
namespace {

using internal::LogChunk;

constexpr size_t kChunkBytes =
    (sizeof(LogChunk) + os::kPageBytes - 1) / os::kPageBytes * os::kPageBytes;
// Chunks kept for the next collection; beyond it memory goes back at once.
constexpr uint32_t kMaxPooled = 256;

// A mutex, not a lock-free stack: it is taken once per thousand logged edges, outside brackets, and
// held for a few instructions.
struct Pool {
  std::mutex mutex;
  LogChunk* first = nullptr;
  uint32_t count = 0;
};

// Neither constructed nor destroyed at run time: a fork cannot come in between.
constinit Pool g_pool;

// Reuses the chunk's field for the pool's own list.
LogChunk* TakeChunk() {
  {
    Pool& pool = g_pool;
    const std::lock_guard<std::mutex> lock(pool.mutex);
    if (LogChunk* chunk = pool.first) {
      pool.first = chunk->pool_next;
      --pool.count;
      return new (chunk) LogChunk;
    }
  }
  void* memory = os::Reserve(kChunkBytes, os::kPageBytes);
  return memory == nullptr ? nullptr : new (memory) LogChunk;
}

void PutChunk(LogChunk* chunk) {
  {
    Pool& pool = g_pool;
    const std::lock_guard<std::mutex> lock(pool.mutex);
    if (pool.count < kMaxPooled) {
      chunk->pool_next = pool.first;
      pool.first = chunk;
      ++pool.count;
      return;
    }
  }
  os::Unmap(chunk, kChunkBytes);
}

}  // namespace

std::mutex& LogPoolMutex() { return g_pool.mutex; }

LogChunk* PassChunk(Slot& slot, LogChunk* chunk) {
  LogChunk* next = chunk->next.load(std::memory_order_acquire);
  slot.first_log.store(next, std::memory_order_relaxed);
  PutChunk(chunk);
  return next;
}

void DiscardLogs() {
  ForEachSlot([](Slot& slot) {
    LogChunk* chunk = slot.first_log.load(std::memory_order_acquire);
    while (chunk != nullptr) chunk = PassChunk(slot, chunk);
    // The slot's thread reads these only in a bracket that finds a collection armed: the store of
    // that mode publishes them.
    slot.log = nullptr;
    slot.log_room = 0;
    slot.log_lost.store(false, std::memory_order_relaxed);
  });
}

bool AnyLogLost() {
  bool lost = false;
  // Acquire is not needed: the entries that a lost log lacks are what matters, not its contents.
  ForEachSlot(
      [&lost](const Slot& slot) { lost = lost || slot.log_lost.load(std::memory_order_relaxed); });
  return lost;
}

}  // namespace reef::threads

namespace reef::internal {
namespace {

// Enters a bracket and returns the mode; the caller's last one is closed.
Mode Enter(Slot* slot) {
  slot->seq.store(slot->seq.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  // Where there is a membarrier, the rendezvous' is the fence.
  if (slot->fenced) (void)slot->seq.fetch_add(0, std::memory_order_seq_cst);
  CompilerBarrier();
  const Mode mode = g_mode.load(std::memory_order_acquire);
  return mode == Mode::kIdleFenced ? Mode::kIdle : mode;
}

void Leave(Slot* slot) {
  slot->seq.store(slot->seq.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace

bool RefillLog(Slot* slot) {
  if (slot->log_lost.load(std::memory_order_relaxed)) return false;
  LogChunk* chunk = threads::TakeChunk();
  if (chunk == nullptr) {
    slot->log_lost.store(true, std::memory_order_relaxed);
    return false;
  }
  // Linking the chunk is a bracket of its own: the collector discards logs only when every bracket
  // that found a collection armed has ended. If it has ended meanwhile, the chunk is not needed.
  const bool armed = Enter(slot) != Mode::kIdle;
  if (armed) {
    if (slot->log == nullptr) {
      slot->first_log.store(chunk, std::memory_order_release);
    } else {
      slot->log->next.store(chunk, std::memory_order_release);
    }
    slot->log = chunk;
    slot->log_room = LogChunk::kEntries;
  }
  Leave(slot);
  if (!armed) threads::PutChunk(chunk);
  return true;
}

EnteredBracket EnterBracketSlow(Slot* slot) {
  Leave(slot);
  for (bool have_room = true;;) {
    const Mode mode = Enter(slot);
    if (mode == Mode::kIdle || !have_room || slot->log_room >= kBracketLogEntries) {
      return {slot->seq.load(std::memory_order_relaxed), mode};
    }
    Leave(slot);
    have_room = RefillLog(slot);
  }
}

}  // namespace reef::internal
