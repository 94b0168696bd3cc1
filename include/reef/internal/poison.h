// Under the address sanitizer: free blocks are poisoned, so that a use after free is reported. The
// header and the free list's link stay readable: stale headers may be inspected (I1).
#ifndef REEF_INTERNAL_POISON_H_
#define REEF_INTERNAL_POISON_H_

#include "reef/internal/slab.h"

#if defined(__SANITIZE_ADDRESS__)
#define REEF_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REEF_POISONS 1
#endif
#endif

#ifndef REEF_POISONS
#define REEF_POISONS 0
#endif

#if REEF_POISONS
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

namespace reef::internal {

inline void PoisonBlock([[maybe_unused]] void* block) {
#if REEF_POISONS
  constexpr size_t kReadable = Header::kBytes + sizeof(void*);
  const Slab* slab = SlabOf(block);
  if (slab->run_slabs == 0 && slab->block_bytes > kReadable) {
    __asan_poison_memory_region(static_cast<char*>(block) + kReadable,
                                slab->block_bytes - kReadable);
  }
#endif
}

inline void UnpoisonBlock([[maybe_unused]] void* block) {
#if REEF_POISONS
  const Slab* slab = SlabOf(block);
  if (slab->run_slabs == 0) __asan_unpoison_memory_region(block, slab->block_bytes);
#endif
}

// Memory of the C++ library that only a heap's region refers to, where the leak sanitizer does not
// look: it goes with the object it belongs to, and is no leak while that lives.
inline void ExpectNoLeak([[maybe_unused]] const void* memory) {
#if REEF_POISONS
  __lsan_ignore_object(memory);
#endif
}

// The memory of slabs that change their layout.
inline void UnpoisonRange([[maybe_unused]] void* start, [[maybe_unused]] size_t bytes) {
#if REEF_POISONS
  __asan_unpoison_memory_region(start, bytes);
#endif
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_POISON_H_
