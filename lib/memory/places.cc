#include "lib/memory/places.h"

#include "lib/os/chaos.h"

namespace reef::memory {
namespace {

using internal::SlabKind;

constexpr uintptr_t kLookedAt = 1;

uintptr_t WordOf(const Slab* slab) { return reinterpret_cast<uintptr_t>(slab); }

auto& PlacesOf(ThreadCache* cache, const Slab& slab) {
  return cache->partial[static_cast<int>(slab.kind)][slab.size_class];
}

// Acquire: the collector's look at it is over.
bool Empty(Place* place, uintptr_t slab) {
  return place->compare_exchange_strong(slab, 0, std::memory_order_acquire,
                                        std::memory_order_relaxed);
}

// `used` first: with the mark set both only approach each other. Acquire: the freeing threads' last
// uses of the blocks, and the owner's of the free list, come before the slab's next layout.
bool AllFree(const Slab& slab) {
  const uint32_t used = slab.used.load(std::memory_order_acquire);
  REEF_CHAOS_POINT("used read, remote not yet");
  return internal::RemoteCount(slab.remote.load(std::memory_order_acquire)) == used;
}

}  // namespace

Place* PlaceFor(ThreadCache* cache, const Slab* slab) {
  for (Place& place : PlacesOf(cache, *slab)) {
    if (place.load(std::memory_order_relaxed) == 0) return &place;
  }
  return nullptr;
}

void Keep(Place* place, Slab* slab) {
  // A store: nobody else fills places. Release: what was allocated from it shows in `used`.
  place->store(WordOf(slab), std::memory_order_release);
}

bool TakeOut(ThreadCache* cache, Slab* slab) {
  for (Place& place : PlacesOf(cache, *slab)) {
    if (Empty(&place, WordOf(slab))) return true;
  }
  return false;
}

Slab* TakeOutAny(ThreadCache* cache, SlabKind kind, int size_class) {
  auto& places = cache->partial[static_cast<int>(kind)][size_class];
  for (int i = internal::kPartialSlabs; i-- > 0;) {
    const uintptr_t word = places[i].load(std::memory_order_relaxed);
    if (word == 0 || (word & kLookedAt) != 0 || !Empty(&places[i], word)) continue;
    return reinterpret_cast<Slab*>(word);
  }
  return nullptr;
}

bool TakeOutEmpty(ThreadCache* cache, Slab* slab) {
  for (Place& place : PlacesOf(cache, *slab)) {
    uintptr_t word = WordOf(slab);
    // Acquire: pairs with Keep.
    if (!place.compare_exchange_strong(word, word | kLookedAt, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
      continue;
    }
    REEF_CHAOS_POINT("place marked, slab not judged");
    const bool empty = AllFree(*slab);
    if (empty) slab->owner.store(0, std::memory_order_relaxed);
    place.store(empty ? 0 : word, std::memory_order_release);
    return empty;
  }
  return false;
}

}  // namespace reef::memory
