// Slabs and thread caches: the part of the private heap that the allocation fast path touches.
//
// A heap's region is cut into 4 MiB segments, aligned to their size; a segment into 64 slabs of
// 64 KiB. Slab 0 holds the Segment record with the metadata of the other 63, so the metadata of a
// block is found by masking its address. A slab serves blocks of one class and kind, or is the head
// of a run of slabs that serves a single large block.
//
// Who may touch what:
//  - `free` and `used`: the thread whose slot is `owner`; nobody else writes them.
//  - `remote`: anybody, by compare-exchange. It collects the blocks that other threads free.
//  - everything under "layout": written when the slab is formatted, by the one thread that holds it
//    exclusively; constant until the collector thread takes the empty slab back (I1).
//
// The life of a slab:
//   supply --format--> owned --runs full--> FULL (owner none, remote == kRemoteFull)
//   FULL --first free by anyone--> owned by that thread, or listed as available
//   owned --too many kept by this thread, or empty--> available --refill--> owned
//   available and empty --collector thread, after a grace period, outside marking--> supply
#ifndef REEF_INTERNAL_SLAB_H_
#define REEF_INTERNAL_SLAB_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/size_class.h"

namespace reef::internal {

struct HeapCore;
struct Slot;
struct WeakCell;
class Edge;
// As many places as the slab has blocks; a place is written by lib/object/weak.cc only.
using WeakTable = std::atomic<WeakCell*>;

// `remote`: count of blocks in bits 48..62, address of the first in the low 48. kRemoteFull: the
// slab is full, nobody's, and on no list; who takes that value away has it to himself.
inline constexpr uint64_t kRemoteFull = uint64_t{1} << 63;
inline constexpr int kRemoteCountShift = 48;
constexpr uint32_t RemoteCount(uint64_t remote) {
  return static_cast<uint32_t>((remote & ~kRemoteFull) >> kRemoteCountShift);
}

struct alignas(128) Slab {
  // Owner only. `used` counts blocks handed out and not yet taken back, plus kPinned while the slab
  // is a thread's current one. Release when the owner lowers it: the free list comes before the
  // look, acquire, of the collector thread at a slab that a thread keeps. Statistics read it
  // relaxed.
  void* free = nullptr;
  std::atomic<uint32_t> used{0};
  // Slot::slab_owner of the owning slot; 0 none. Relaxed: a thread compares it with itself only,
  // and only the thread itself stores its own number here.
  std::atomic<uint32_t> owner{0};
  // Layout.
  uint32_t link_offset = 0;  // of the free list's link within a free block
  uint32_t first = 0;        // offset of the first block
  uint64_t block_bytes = 0;  // bytes from block to block; a run: of the whole run
  uint32_t capacity = 0;     // blocks; a run: 1
  uint32_t run_slabs = 0;    // 0: a slab of a class
  // Blocks that have ever been on the free list; beyond it memory is untouched. Release by the
  // owner, acquire by walkers, who read no header beyond it.
  std::atomic<uint32_t> carved{0};
  uint8_t size_class = 0;
  SlabKind kind = SlabKind::kRaw;
  // True between format and return to the supply. Release at format: the layout is complete.
  std::atomic<bool> formatted{false};
  // Collector thread only: the last condemn pass found garbage here.
  bool has_garbage = false;
  // A cached run whose memory was given back. By who holds the run.
  bool clean = false;
  // An object with a finalizer was born here since the slab was formatted. Relaxed: the collector's
  // rendezvous orders births before its look.
  std::atomic<bool> finalizable{false};

  // Anybody. Release when pushing (the block's last use comes first), acquire when taking.
  alignas(64) std::atomic<uint64_t> remote{0};
  std::atomic<uint32_t> next{0};  // link of the lists a free slab stands on: number + 1
  // The weak cells of the slab's objects, one place for each block; null until there is one.
  // Release when installed, acquire by look-ups. Goes with the slab's layout.
  std::atomic<WeakTable*> weak_cells{nullptr};
  // The same of their hidden edges (lib/object/hidden_edge.h).
  std::atomic<Edge*> hidden_edges{nullptr};
};
static_assert(sizeof(Slab) == 128);

inline constexpr uint32_t kPinned = 1u << 20;

struct Segment {
  HeapCore* core = nullptr;
  uint32_t index = 0;  // within the heap's region
  alignas(128) Slab slabs[kSlabsPerSegment];
};
static_assert(sizeof(Segment) <= kSlabBytes);

inline Segment* SegmentOf(const void* address) {
  return reinterpret_cast<Segment*>(reinterpret_cast<uintptr_t>(address) & ~(kSegmentBytes - 1));
}
inline Slab* SlabOf(const void* block) {
  // &segment->slabs[offset / kSlabBytes], computed once: left to itself the compiler forms the
  // address anew for each field.
  const uintptr_t segment = reinterpret_cast<uintptr_t>(SegmentOf(block));
  const uintptr_t index_bytes = reinterpret_cast<uintptr_t>(block) / (kSlabBytes / sizeof(Slab)) &
                                (kSlabsPerSegment - 1) * sizeof(Slab);
  return reinterpret_cast<Slab*>(segment + index_bytes + offsetof(Segment, slabs));
}
inline char* SlabBase(const Slab* slab) {
  Segment* segment = SegmentOf(slab);
  return reinterpret_cast<char*>(segment) + static_cast<size_t>(slab - segment->slabs) * kSlabBytes;
}

// How many partly free slabs of one class a thread keeps beside its current one.
inline constexpr int kPartialSlabs = 4;

extern Slab g_empty_slab;  // always full: sends the first allocation to the slow path

// One thread's slabs of one heap. Touched by its slot's thread only, or by who has claimed the
// slot; and the places of partly free slabs by the collector thread (lib/memory/places.h).
struct ThreadCache {
  constexpr ThreadCache() {
    for (auto& kind : current) {
      for (auto& slab : kind) slab = &g_empty_slab;
    }
  }

  Slab* current[kKinds][kClasses] = {};
  // Slabs, perhaps with a mark, or 0. Release when filled, acquire when taken out.
  std::atomic<uintptr_t> partial[kKinds][kClasses][kPartialSlabs] = {};
  HeapCore* core = nullptr;
};

extern ThreadCache g_empty_cache;  // all of its current slabs are g_empty_slab

// What the fast paths must know of a heap; the rest is in lib/memory/space.h.
struct HeapCore {
  uint32_t index = 0;  // of the thread caches in a slot
  // Colour and stage of newborn traced objects, as bits of word 0. Changed by the collector before
  // its second rendezvous; acquire by births, inside their bracket.
  std::atomic<uint64_t> birth{0};
  // The colour that counts as black in the current (or last) cycle. Written while no collection is
  // armed; read in brackets that found one armed.
  std::atomic<uint8_t> black{1};
  std::atomic<uintptr_t> base{0};  // of the region; constant while `bytes` is not 0
  std::atomic<uint64_t> bytes{0};  // release when the base is set
  uint64_t drop_budget = 0;        // HeapOptions::drop_budget; constant during the heap's life
  void* space = nullptr;           // reef::memory::Space
  void* collected = nullptr;       // reef::collector::CollectedHeap
  // reef::FinalizerExecutor, null: finalizers run where they fall due. Constant while there are
  // objects.
  const void* finalizer_executor = nullptr;
};

inline void*& LinkOf(void* block, size_t offset) {
  return *reinterpret_cast<void**>(static_cast<char*>(block) + offset);
}

// Pops a block of the cache's current slab, or null when that slab's list is empty.
REEF_INLINE void* PopBlock(ThreadCache* cache, SlabKind kind, int size_class) {
  Slab* slab = cache->current[static_cast<int>(kind)][size_class];
  void* block = slab->free;
  if (REEF_UNLIKELY(block == nullptr)) return nullptr;
  slab->free = LinkOf(block, kind == SlabKind::kRaw ? 0 : Header::kBytes);
  // Not a read-modify-write: only the owner writes `used`.
  slab->used.store(slab->used.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return block;
}

// The rest of a free: of a block of another thread's slab; of the last block in use of one's own,
// whose `used` is still to be lowered. Both are brackets: the end of a heap, which waits until no
// block is in use, must also wait for who has just returned the last. Any thread, lock-free.
void FreeBlockSlow(Slot* slot, Slab* slab, void* block);
void SlabRanEmpty(Slot* slot, Slab* slab);

// Returns a block to its slab. The header of a managed block must already read FREE. `slab_owner`
// is the calling slot's.
template <bool kManaged>
REEF_INLINE void FreeBlock(Slot* slot, uint32_t slab_owner, void* block) {
  Slab* slab = SlabOf(block);
  if (REEF_LIKELY(slab->owner.load(std::memory_order_relaxed) == slab_owner)) {
    LinkOf(block, kManaged ? Header::kBytes : 0) = slab->free;
    slab->free = block;
    const uint32_t used = slab->used.load(std::memory_order_relaxed) - 1;
    if (REEF_UNLIKELY(used == 0)) return SlabRanEmpty(slot, slab);
    // Release: the free list comes before the look of who finds all blocks free. From here on the
    // slab may be the collector thread's.
    slab->used.store(used, std::memory_order_release);
    return;
  }
  FreeBlockSlow(slot, slab, block);
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_SLAB_H_
