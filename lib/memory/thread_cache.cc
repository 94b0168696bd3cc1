#include "lib/memory/thread_cache.h"

#include <atomic>
#include <utility>

#include "lib/memory/places.h"
#include "lib/os/bell.h"
#include "lib/os/chaos.h"
#include "lib/os/pages.h"
#include "reef/internal/check.h"

namespace reef::memory {

using internal::g_empty_cache;
using internal::g_empty_slab;
using internal::Header;
using internal::kClasses;
using internal::kKinds;
using internal::kLinkMask;
using internal::kPinned;
using internal::kRemoteCountShift;
using internal::kRemoteFull;
using internal::kSlabOwnerLife;
using internal::LinkOf;
using internal::PopBlock;
using internal::RemoteCount;
using internal::SlabBase;

namespace {

constexpr size_t kCacheBytes =
    (sizeof(ThreadCache) + os::kPageBytes - 1) / os::kPageBytes * os::kPageBytes;

// Release: what the owner did to the free list comes before another's look at an empty slab.
void AddUsed(Slab* slab, uint32_t delta) {
  slab->used.store(slab->used.load(std::memory_order_relaxed) + delta, std::memory_order_release);
}

void* HeadOf(uint64_t remote) { return reinterpret_cast<void*>(remote & kLinkMask); }

// Takes the blocks that other threads freed. The local list is empty.
bool TakeRemote(Slab* slab) {
  if (slab->remote.load(std::memory_order_relaxed) == 0) return false;
  // Acquire: the freeing threads' last uses of the blocks come before their next life.
  const uint64_t remote = slab->remote.exchange(0, std::memory_order_acquire);
  slab->free = HeadOf(remote);
  AddUsed(slab, 0u - RemoteCount(remote));
  return true;
}

// Cuts about a page of the untouched rest into blocks.
bool Carve(Slab* slab) {
  const uint32_t carved = slab->carved.load(std::memory_order_relaxed);
  if (carved == slab->capacity) return false;
  uint32_t count = static_cast<uint32_t>(os::kPageBytes / slab->block_bytes);
  if (count == 0) count = 1;
  if (count > slab->capacity - carved) count = slab->capacity - carved;
  char* first = SlabBase(slab) + slab->first + size_t{carved} * slab->block_bytes;
  char* block = first;
  for (uint32_t i = 0; i < count; ++i, block += slab->block_bytes) {
    // The memory may have served another class: its headers must read FREE before walkers see them.
    if (slab->kind != SlabKind::kRaw) reinterpret_cast<Header*>(block)->Bear(0, 0);
    LinkOf(block, slab->link_offset) = i + 1 < count ? block + slab->block_bytes : nullptr;
  }
  slab->free = first;
  slab->carved.store(carved + count, std::memory_order_release);
  return true;
}

bool HasBlock(Slab* slab) { return slab->free != nullptr || TakeRemote(slab) || Carve(slab); }

// The slab is full: it becomes nobody's. False if a block came back in the last moment.
bool Leave(Slot* slot, Slab* slab) {
  AddUsed(slab, 0u - kPinned);
  slab->owner.store(0, std::memory_order_relaxed);
  REEF_CHAOS_POINT("slab left, not yet full");
  uint64_t expected = 0;
  // Release: whoever takes kRemoteFull away takes over our `used`.
  if (slab->remote.compare_exchange_strong(expected, kRemoteFull, std::memory_order_acq_rel,
                                           std::memory_order_relaxed)) {
    return true;
  }
  slab->owner.store(slot->slab_owner, std::memory_order_relaxed);
  AddUsed(slab, kPinned);
  return false;
}

void Own(Slot* slot, Slab* slab) { slab->owner.store(slot->slab_owner, std::memory_order_relaxed); }

// Gives a slab of this thread to everybody.
void Release(Space* space, Slab* slab) {
  slab->owner.store(0, std::memory_order_relaxed);
  const uint64_t remote = slab->remote.load(std::memory_order_relaxed);
  const uint32_t used = slab->used.load(std::memory_order_relaxed);
  space->PushAvailable(slab, RemoteCount(remote) == used);
}

// A full slab of which this thread frees blocks becomes its own, if it keeps few.
bool Claim(Slot* slot, Slab* slab) {
  ThreadCache* cache = slot->caches[internal::SegmentOf(slab)->core->index];
  if (cache == &g_empty_cache) return false;
  Place* place = PlaceFor(cache, slab);
  if (place == nullptr) return false;
  uint64_t expected = kRemoteFull;
  if (!slab->remote.compare_exchange_strong(expected, 0, std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
    return false;
  }
  Own(slot, slab);
  Keep(place, slab);
  return true;
}

// One of the thread's slabs, not its current one (whose `used` includes kPinned), has become empty.
// In a bracket: the collector thread may be taking it, which leaves the layout as it is until then.
void GiveUpEmpty(Slot* slot, Slab* slab) {
  const internal::HeapCore* core = internal::SegmentOf(slab)->core;
  Space* space = Space::Of(core);
  if (TakeOut(slot->caches[core->index], slab)) return Release(space, slab);
  // The collector thread is looking at it, and may have found the last block in use: once more.
  space->NoteKeptEmpty(slab);
}

}  // namespace

ThreadCache* CacheOf(Slot* slot, Space* space) {
  ThreadCache*& cache = slot->caches[space->core()->index];
  if (cache != &g_empty_cache) return cache;
  auto* fresh = static_cast<ThreadCache*>(os::Reserve(kCacheBytes, os::kPageBytes));
  if (fresh == nullptr) return nullptr;
  for (auto& kind : fresh->current) {
    for (auto& slab : kind) slab = &g_empty_slab;
  }
  fresh->core = space->core();
  // Release: the collector thread may look at its places.
  std::atomic_ref<ThreadCache*>(cache).store(fresh, std::memory_order_release);
  return fresh;
}

void* Refill(Slot* slot, Space* space, SlabKind kind, int size_class) {
  ThreadCache* cache = CacheOf(slot, space);
  if (cache == nullptr) return nullptr;
  Slab*& current = cache->current[static_cast<int>(kind)][size_class];
  for (;;) {
    if (current != &g_empty_slab) {
      if (HasBlock(current)) return PopBlock(cache, kind, size_class);
      if (!Leave(slot, current)) continue;
      current = &g_empty_slab;
    }
    Slab* next = TakeOutAny(cache, kind, size_class);
    if (next == nullptr) {
      next = space->PopAvailable(kind, size_class);
      if (next == nullptr) next = space->TakeSlab(kind, size_class);
      if (next == nullptr) return nullptr;
      os::NoteActivity();
      Own(slot, next);
    }
    AddUsed(next, kPinned);
    current = next;
  }
}

void FreeChain(Slot* slot, Slab* slab, void* first, void* last, uint32_t count) {
  const internal::QuietBracket bracket(slot);
  uint64_t seen = slab->remote.load(std::memory_order_relaxed);
  for (;;) {
    if (slab->owner.load(std::memory_order_relaxed) == slot->slab_owner ||
        (seen == kRemoteFull && Claim(slot, slab))) {
      LinkOf(last, slab->link_offset) = slab->free;
      slab->free = first;
      AddUsed(slab, 0u - count);
      if (slab->used.load(std::memory_order_relaxed) == 0) GiveUpEmpty(slot, slab);
      return;
    }
    const bool was_full = seen == kRemoteFull;
    const uint32_t total = RemoteCount(seen) + count;
    LinkOf(last, slab->link_offset) = HeadOf(seen);
    // Both read before the push: afterwards the slab may be another's, or of another class.
    const bool empty = total == slab->used.load(std::memory_order_relaxed);
    const bool kept = slab->owner.load(std::memory_order_relaxed) != 0;
    Space* space = Space::Of(slab);
    const uint64_t pushed =
        (uint64_t{total} << kRemoteCountShift) | reinterpret_cast<uintptr_t>(first);
    REEF_CHAOS_POINT("before remote push");
    // Release: our last use of the blocks comes before the next. Acquire: if the slab was full it
    // is ours to list now.
    if (slab->remote.compare_exchange_weak(seen, pushed, std::memory_order_acq_rel,
                                           std::memory_order_relaxed)) {
      if (was_full) {
        space->PushAvailable(slab, empty);
      } else if (empty && kept) {
        space->NoteKeptEmpty(slab);
      } else if (empty) {
        space->NoteEmpty();
      }
      return;
    }
  }
}

void ReleaseSlabs(Slot* slot, Space* space) {
  ThreadCache* cache = slot->caches[space->core()->index];
  if (cache == &g_empty_cache) return;
  for (int kind = 0; kind < kKinds; ++kind) {
    for (int size_class = 0; size_class < kClasses; ++size_class) {
      Slab*& current = cache->current[kind][size_class];
      if (current != &g_empty_slab) {
        Slab* slab = current;
        current = &g_empty_slab;
        // A full slab must leave as full; one with blocks is available.
        if (HasBlock(slab) || !Leave(slot, slab)) {
          AddUsed(slab, 0u - kPinned);
          Release(space, slab);
        }
      }
      while (Slab* slab = TakeOutAny(cache, static_cast<SlabKind>(kind), size_class)) {
        Release(space, slab);
      }
    }
  }
  // A thread that freed a slab's last block just before could not know that it would be listed.
  space->NoteEmpty();
}

namespace {

void Forget(ThreadCache*& cache) {
  if (cache == &g_empty_cache) return;
  // In this order: a fork that cuts this thread off in between leaves the child a cache too many to
  // keep, not one to unmap that is somebody else's memory by then.
  ThreadCache* const old = std::exchange(cache, &g_empty_cache);
  internal::CompilerBarrier();
  REEF_CHAOS_POINT("cache forgotten, not unmapped");
  os::Unmap(old, kCacheBytes);
}

}  // namespace

void DropCache(Slot* slot, Space* space) { Forget(slot->caches[space->core()->index]); }

void AbandonCaches(Slot* slot) {
  for (ThreadCache*& cache : slot->caches) Forget(cache);
  slot->slab_owner += kSlabOwnerLife;
}

}  // namespace reef::memory

namespace reef::internal {

void FreeBlockSlow(Slot* slot, Slab* slab, void* block) {
  if (slab->run_slabs != 0) {
    memory::Space::Of(slab)->FreeRun(slot, slab);
    return;
  }
  memory::FreeChain(slot, slab, block, block, 1);
}

void SlabRanEmpty(Slot* slot, Slab* slab) {
  const QuietBracket bracket(slot);
  slab->used.store(0, std::memory_order_release);  // as in FreeBlock
  memory::GiveUpEmpty(slot, slab);
}

}  // namespace reef::internal
