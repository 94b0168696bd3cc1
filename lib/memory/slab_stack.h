// SlabStack: a lock-free stack of slabs of one heap, linked through Slab::next.
//
// Slabs are named by number (segment * 64 + position), so that the head fits 32 bits beside a
// 32-bit tag that every push and pop advances: a compare-exchange cannot mistake a head that went
// and came back for one that stayed. Slab metadata is never unmapped while the heap lives, so
// reading the `next` of a slab that another thread has just popped is harmless. Progress:
// lock-free.
#ifndef REEF_LIB_MEMORY_SLAB_STACK_H_
#define REEF_LIB_MEMORY_SLAB_STACK_H_

#include <atomic>
#include <cstdint>

#include "reef/internal/slab.h"

namespace reef::memory {

using internal::Slab;

class SlabStack {
 public:
  void Push(char* base, Slab* slab);
  // Null when empty.
  Slab* Pop(char* base);
  // The whole stack at once, linked through `next`; null when empty.
  Slab* PopAll(char* base);
  // The first slab, for a walk by NextOf while nobody pushes or pops.
  const Slab* First(char* base) const;
  bool empty() const { return static_cast<uint32_t>(head_.load(std::memory_order_relaxed)) == 0; }

 private:
  // Low half: number + 1 of the first slab; high half: tag. Release by pushes: the slab's state
  // comes before it can be popped; acquire by pops.
  std::atomic<uint64_t> head_{0};
};

// The number of a slab, plus one (0 is nobody), and back.
uint32_t NumberOf(const char* base, const Slab* slab);
Slab* SlabOfNumber(char* base, uint32_t number);
inline Slab* NextOf(char* base, const Slab* slab) {
  return SlabOfNumber(base, slab->next.load(std::memory_order_relaxed));
}

}  // namespace reef::memory

#endif  // REEF_LIB_MEMORY_SLAB_STACK_H_
