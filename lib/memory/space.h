// Space: the memory of one heap. A region of addresses, cut into segments and slabs, and the
// lock-free supply from which threads take them.
//
// The supply is one 64-bit word per segment, a bit for each free slab, and a summary with a bit for
// each segment that has any. Threads only take from it; slabs come back on the collector thread
// alone, after a grace period and outside marking (I1), by way of the two lists that any thread
// feeds: available slabs (partly or wholly free, nobody's, same class) and freed runs.
//
// Thread safety: as stated at each function. Nothing here waits, but for huge runs (several whole
// segments), which take a mutex: they map memory by the megabyte anyway.
#ifndef REEF_LIB_MEMORY_SPACE_H_
#define REEF_LIB_MEMORY_SPACE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "lib/memory/slab_stack.h"
#include "reef/internal/header.h"
#include "reef/internal/size_class.h"
#include "reef/internal/slab.h"

namespace reef::memory {

using internal::HeapCore;
using internal::Segment;
using internal::SlabKind;

struct SpaceOptions {
  uint64_t reserve_bytes = uint64_t{64} << 30;
  uint64_t max_bytes = 0;   // the hard limit (limits.h); 0: what was reserved
  uint64_t soft_bytes = 0;  // the soft one; 0: none
  bool huge_pages = true;
};

// What a segment's addresses are used for. Release when a use begins, acquire by look-ups.
enum class SegmentUse : uint8_t { kUnused = 0, kSlabs = 1, kHugeHead = 2, kHugeTail = 3 };

// Slabs that left the heap's lists and wait for their grace period, linked through `next`.
struct SlabBatch {
  Slab* first = nullptr;
  uint32_t count = 0;
};

class Space {
 public:
  // Reserves the region and fills in `core`. Null when the system grants no addresses (64 MiB at
  // least).
  static std::unique_ptr<Space> Create(HeapCore* core, const SpaceOptions& options);
  ~Space();
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  static Space* Of(const HeapCore* core) { return static_cast<Space*>(core->space); }
  static Space* Of(const void* address) { return Of(internal::SegmentOf(address)->core); }

  // --- any thread, lock-free ---
  // A slab for a class, formatted, owned by nobody; null at the limit or when addresses run out.
  Slab* TakeSlab(SlabKind kind, int size_class);
  Slab* PopAvailable(SlabKind kind, int size_class);
  // Lists a slab that is nobody's and not full; `empty` if all of its blocks are free.
  void PushAvailable(Slab* slab, bool empty);
  // One block of its own slabs: its address (an object: of its header, which reads FREE).
  void* AllocateRun(SlabKind kind, size_t payload_bytes, size_t alignment);
  void FreeRun(internal::Slot* slot, Slab* slab);
  // Memory elsewhere that objects of this heap own counts towards its limits. False beyond the hard
  // one.
  bool ChargeExternal(uint64_t bytes);
  // False, and nothing has changed, if there are not so many.
  bool UnchargeExternal(uint64_t bytes);
  // A hint for the collector thread that an available slab has become empty.
  void NoteEmpty();
  // The same of a slab that a thread keeps. It may have another layout already.
  void NoteKeptEmpty(const Slab* slab);
  // The slab that an address of the region lies in; null if it serves nothing, and inside the tail
  // of a huge run, where there is no record.
  const Slab* SlabAround(uintptr_t address) const;
  // True if `address` is the start of a block that has been in use; of an object's.
  bool IsBlock(uintptr_t address) const;
  bool IsObject(uintptr_t address) const;

  // --- collector thread ---
  // Takes empty slabs and freed runs off their lists; they may be inspected as before.
  SlabBatch TakeEmpty();
  // Adds empty slabs that threads keep, of those that were noted. `cache_of(owner, heap)` is the
  // cache of the slot that a slab names as its owner.
  using CacheFunction = internal::ThreadCache* (*)(uint32_t owner, uint32_t heap);
  void TakeKeptEmpty(SlabBatch* batch, CacheFunction cache_of);
  // Makes them free for any use. The caller has waited for the grace period, and nothing is marked.
  void ReturnToSupply(const SlabBatch& batch);
  // Gives the memory of free slabs back that were already free at the last call (or of all).
  void Purge(bool all);
  bool HasEmpty() const { return empty_hint_.load(std::memory_order_relaxed); }
  bool HasUnpurged() const { return unpurged_; }

  // --- fork ---
  // Held meanwhile.
  std::mutex& huge_mutex() { return huge_mutex_; }
  // The child: a lost thread may have hidden a segment and not looked again.
  void ShowAllSegments();

  // --- walking; slabs do not change their layout while the caller keeps the collector out ---
  template <typename Function>
  void ForEachSlab(Function function) const {
    const uint32_t segments = high_.load(std::memory_order_acquire);
    for (uint32_t i = 0; i < segments; ++i) {
      const auto use = use_[i].load(std::memory_order_acquire);
      if (use != SegmentUse::kSlabs && use != SegmentUse::kHugeHead) continue;
      const size_t last = use == SegmentUse::kHugeHead ? 2 : internal::kSlabsPerSegment;
      for (size_t position = 1; position < last; ++position) {
        Slab& slab = SegmentAt(i)->slabs[position];
        if (slab.formatted.load(std::memory_order_acquire)) function(slab);
      }
    }
  }
  // Calls `report(what, slab)` for each fault in lists, chains of free blocks, bitmaps and
  // accounting. Nobody uses the space meanwhile. `quarantine`: the slabs that TakeEmpty has taken
  // last. O(blocks).
  using FaultFunction = std::function<void(const char* what, const Slab* slab)>;
  void FindFaults(const SlabBatch& quarantine, const FaultFunction& report) const;
  // Blocks in use: an estimate while threads allocate, exact at rest.
  static uint64_t UsedBlocks(const Slab& slab);

  uint64_t committed_bytes() const {
    return committed_.load(std::memory_order_relaxed) * internal::kSlabBytes;
  }
  uint64_t reserved_bytes() const { return uint64_t{segments_} * internal::kSegmentBytes; }
  uint64_t external_bytes() const { return external_.load(std::memory_order_relaxed); }
  // The most that slabs alone may take; and the hard limit, of slabs and external bytes together.
  uint64_t max_bytes() const { return max_slabs_ * internal::kSlabBytes; }
  uint64_t hard_bytes() const { return hard_bytes_; }
  // What to tell a user: the hard limit, or where there is none what was reserved.
  uint64_t limit_bytes() const {
    return hard_bytes_ == kNoHardLimit ? reserved_bytes() : hard_bytes_;
  }
  uint64_t soft_bytes() const { return soft_bytes_; }
  bool IsAboveSoftLimit() const;
  uint64_t ResidentBytes() const;
  char* base() const { return base_; }
  HeapCore* core() const { return core_; }
  bool Contains(uintptr_t address) const {
    return address - reinterpret_cast<uintptr_t>(base_) < reserved_bytes();
  }

 private:
  class FaultFinder;

  explicit Space(HeapCore* core) : core_(core) {}
  bool Initialise(const SpaceOptions& options);

  Segment* SegmentAt(uint32_t index) const {
    return reinterpret_cast<Segment*>(base_ + size_t{index} * internal::kSegmentBytes);
  }
  static void DropWeakTable(Slab* slab);
  // limits.cc
  static constexpr uint64_t kNoHardLimit = uint64_t{1} << 56;
  bool HasRoom(uint64_t slabs) const;
  bool Charge(uint64_t slabs);
  void Uncharge(uint64_t slabs) { committed_.fetch_sub(slabs, std::memory_order_relaxed); }
  // supply.cc
  Slab* ClaimRun(uint32_t slabs);
  Slab* ClaimIn(uint32_t segment, uint32_t slabs);
  bool OpenSegment();
  Slab* ClaimSegments(uint32_t segments);
  bool ClaimUnused(uint32_t segment);
  bool IsUnused(uint32_t segment) const;
  void PrepareSegment(uint32_t segment, SegmentUse use);
  void ShowSegment(uint32_t segment);
  void HideSegment(uint32_t segment);
  // run.cc
  void FormatRun(Slab* slab, SlabKind kind, uint32_t slabs, uint32_t first);
  void CloseHuge(Slab* slab);
  // purge.cc
  void AddTo(SlabBatch* batch, Slab* slab);
  void PurgeSegment(uint32_t segment, bool all);
  void CloseSegment(uint32_t segment);

  using Word = std::atomic<uint64_t>;

  HeapCore* const core_;
  char* base_ = nullptr;
  uint32_t segments_ = 0;
  uint64_t max_slabs_ = 0;
  uint64_t hard_bytes_ = kNoHardLimit;  // slabs and external bytes together
  uint64_t soft_bytes_ = 0;
  bool huge_pages_ = false;
  size_t table_bytes_ = 0;
  void* tables_ = nullptr;
  Word* free_ = nullptr;  // per segment: its free slabs. Acquire by takers, release by the returner
  Word* dirty_ = nullptr;       // per segment: free slabs whose memory was not given back
  uint64_t* aged_ = nullptr;    // per segment, collector thread: dirty at the last purge as well
  Word* kept_empty_ = nullptr;  // per segment: noted by NoteKeptEmpty; relaxed, before empty_hint_
  Word* summary_ = nullptr;     // a bit per segment with free slabs; a hint, set after the fact
  Word* unused_ = nullptr;      // a bit per segment that no use has begun of
  std::atomic<SegmentUse>* use_ = nullptr;
  std::atomic<uint32_t> high_{0};  // segments ever used
  // Slabs in use, cached or dirty, and external bytes. Raised sequentially consistent (limits.h),
  // lowered relaxed: they only limit.
  std::atomic<uint64_t> committed_{0};
  std::atomic<uint64_t> external_{0};
  std::mutex huge_mutex_;  // several whole segments at once

  SlabStack available_[internal::kKinds][internal::kClasses];
  // Freed runs by length, reusable at once for a run of the same length and kind (same layout).
  SlabStack runs_[internal::kKinds][internal::kSlabsPerSegment];
  SlabStack odd_runs_;  // freed runs that nothing reuses: huge, or over-aligned
  std::atomic<uint64_t> cached_run_slabs_{0};  // resident ones; relaxed, bounds the cache
  std::atomic<bool> empty_hint_{false};
  bool unpurged_ = false;  // collector thread
};

}  // namespace reef::memory

#endif  // REEF_LIB_MEMORY_SPACE_H_
