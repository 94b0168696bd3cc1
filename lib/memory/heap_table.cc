#include "lib/memory/heap_table.h"

#include <atomic>
#include <mutex>

namespace reef::memory {
namespace {

using internal::kMaxHeaps;

// Release when entered, acquire by look-ups.
std::atomic<HeapCore*> g_heaps[kMaxHeaps];
std::atomic<uint32_t> g_high{1};  // indexes below it have been used; relaxed, only bounds the loop
std::mutex g_mutex;               // entering and removing

}  // namespace

std::mutex& HeapTableMutex() { return g_mutex; }

uint32_t EnterHeap(HeapCore* core) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  for (uint32_t index = 1; index < kMaxHeaps; ++index) {
    if (g_heaps[index].load(std::memory_order_relaxed) != nullptr) continue;
    core->index = index;
    g_heaps[index].store(core, std::memory_order_release);
    if (g_high.load(std::memory_order_relaxed) <= index) {
      g_high.store(index + 1, std::memory_order_relaxed);
    }
    return index;
  }
  return 0;
}

void EnterDefaultHeap(HeapCore* core) { g_heaps[0].store(core, std::memory_order_release); }

void RemoveHeap(HeapCore* core) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  core->bytes.store(0, std::memory_order_relaxed);
  g_heaps[core->index].store(nullptr, std::memory_order_release);
}

HeapCore* FindHeap(const void* address) {
  const uint32_t high = g_high.load(std::memory_order_relaxed);
  for (uint32_t index = 0; index < high; ++index) {
    HeapCore* core = g_heaps[index].load(std::memory_order_acquire);
    if (core == nullptr) continue;
    // Bytes first (acquire): while they are 0, no base matters; they are set after the base. And
    // once more: the core may have got another region in between.
    const uint64_t bytes = core->bytes.load(std::memory_order_acquire);
    const uintptr_t base = core->base.load(std::memory_order_acquire);
    if (reinterpret_cast<uintptr_t>(address) - base < bytes &&
        core->bytes.load(std::memory_order_relaxed) == bytes) {
      return core;
    }
  }
  return nullptr;
}

}  // namespace reef::memory
