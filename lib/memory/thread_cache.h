// Thread caches: how a thread gets a slab, and how a block finds its way back to one.
//
// Refill takes, in this order: the current slab's blocks that other threads freed (one exchange),
// its untouched rest, another partly free slab of this thread, an available slab of the heap, a
// slab of the supply. It never scans.
//
// A slab that runs full leaves its thread (remote == kRemoteFull). The first thread to free one of
// its blocks takes that value away by compare-exchange and thereby has the slab to itself: it
// becomes the owner if it keeps few partly free slabs, so that a thread that frees what it made
// does so without atomics; otherwise it lists the slab as available. So nothing depends on a
// sleeping thread, which withholds at most its current slab of each class, and others of which some
// block is in use (lib/memory/places.h). (Model: tests/models/slab.pml.)
//
// Frees that may give a slab to the heap are brackets, so that the end of the heap can wait for
// them.
//
// After its push a freeing thread touches the slab only if the push gave it the slab: blocks that
// are not yet freed keep every other slab from being taken back.
#ifndef REEF_LIB_MEMORY_THREAD_CACHE_H_
#define REEF_LIB_MEMORY_THREAD_CACHE_H_

#include <cstdint>

#include "lib/memory/space.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::memory {

using internal::Slot;
using internal::ThreadCache;

// The slot's cache of that heap, made if necessary; null when there is no memory for it. Slot's
// thread.
ThreadCache* CacheOf(Slot* slot, Space* space);

// A block, after making another slab current if necessary; null when the space has none. Slot's
// thread.
void* Refill(Slot* slot, Space* space, SlabKind kind, int size_class);

// `count` free blocks of one slab, linked from `first` to `last`: returned by one exchange.
void FreeChain(Slot* slot, Slab* slab, void* first, void* last, uint32_t count);

// Lists all of the slot's slabs of that heap as available. By whoever has claimed the slot.
void ReleaseSlabs(Slot* slot, Space* space);
// The same, and the cache's own memory goes. The heap is ending.
void DropCache(Slot* slot, Space* space);
// The child of a fork, for a thread that is not there any more and may have been cut off in the
// middle of anything: forgets all of its caches, and whose their slabs are. These stay as they are:
// blocks that are freed into them gather in `remote`, and nobody takes them out again.
void AbandonCaches(Slot* slot);

}  // namespace reef::memory

#endif  // REEF_LIB_MEMORY_THREAD_CACHE_H_
