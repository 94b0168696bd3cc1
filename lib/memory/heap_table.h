// The heap table: which heaps exist, and to which one an address belongs.
//
// A core that was entered is never freed (lib/heap.cc uses them again), so a look-up may run beside
// the end of another heap.
#ifndef REEF_LIB_MEMORY_HEAP_TABLE_H_
#define REEF_LIB_MEMORY_HEAP_TABLE_H_

#include <cstdint>
#include <mutex>

#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::memory {

using internal::HeapCore;

// Enters a heap under a free index and returns it; 0 (the default heap's) when all are taken. Any
// thread; a mutex.
uint32_t EnterHeap(HeapCore* core);
void EnterDefaultHeap(HeapCore* core);
// The heap has ended: its index may be used again.
void RemoveHeap(HeapCore* core);

// The heap whose region holds the address; null for any other address. O(heaps). Any thread.
HeapCore* FindHeap(const void* address);

// For fork, which holds it meanwhile.
std::mutex& HeapTableMutex();

}  // namespace reef::memory

#endif  // REEF_LIB_MEMORY_HEAP_TABLE_H_
