// Places: where a thread keeps partly free slabs beside its current ones, and how the collector
// thread takes one that has become empty from a thread that sleeps.
//
// A place is a word of a thread cache: 0, or a slab, perhaps with kLookedAt. Only the cache's
// thread fills an empty place, and only a compare-exchange from the bare slab takes one out. The
// collector first sets kLookedAt: from then on the thread allocates nothing from that slab, so what
// is in use of it only gets less; then it reads `used` and `remote`. If they say that all blocks
// are free, nobody can allocate or free one any more, and the slab is the collector's; otherwise it
// takes the mark away again. A thread that meets the mark does without that slab, so neither waits
// for the other. (Model: tests/models/slab.pml.)
//
// What a thread may withhold while it sleeps is its current slab of each class; and a kept one
// whose last block it freed itself, after others had freed some: that free is inline and looks at
// `used` alone, so nobody notes that the slab has become empty.
#ifndef REEF_LIB_MEMORY_PLACES_H_
#define REEF_LIB_MEMORY_PLACES_H_

#include <atomic>
#include <cstdint>

#include "reef/internal/slab.h"

namespace reef::memory {

using internal::Slab;
using internal::ThreadCache;

using Place = std::atomic<uintptr_t>;

// An empty place for the slab; null if the cache keeps enough of its class. The cache's thread.
Place* PlaceFor(ThreadCache* cache, const Slab* slab);
// Puts a slab that is the thread's into an empty place. The cache's thread.
void Keep(Place* place, Slab* slab);
// Takes a certain slab, or any of that class, out of its place; false, or null, if there is none,
// or the collector is looking at it. That thread, or whoever has claimed its slot.
bool TakeOut(ThreadCache* cache, Slab* slab);
Slab* TakeOutAny(ThreadCache* cache, internal::SlabKind kind, int size_class);
// Takes the slab out of its place if none of its blocks is in use. Collector thread.
bool TakeOutEmpty(ThreadCache* cache, Slab* slab);

}  // namespace reef::memory

#endif  // REEF_LIB_MEMORY_PLACES_H_
