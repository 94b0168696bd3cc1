// Runs: blocks larger than half a slab, each with slabs of its own.
//
// A freed run is reusable at once for a run of the same length and kind: its block boundary does
// not move, so that is no change of layout (I1). Its memory is given back at once if it is large or
// the cache of freed runs is full; otherwise the collector thread does that a little later.
#include "lib/memory/space.h"
#include "lib/os/bell.h"
#include "lib/os/pages.h"
#include "reef/internal/check.h"
#include "reef/internal/poison.h"
#include "reef/internal/slot.h"

namespace reef::memory {

using internal::Header;
using internal::kSegmentBytes;
using internal::kSlabBytes;
using internal::kSlabsPerSegment;

namespace {

// Runs from this length on are decommitted when freed.
constexpr uint32_t kLargeRunSlabs = (size_t{2} << 20) / kSlabBytes;
// Freed runs that keep their memory, in slabs, all together.
constexpr uint64_t kMaxCachedRunSlabs = (uint64_t{16} << 20) / kSlabBytes;
// Payloads of runs are aligned to a cache line without being asked.
constexpr size_t kRunAlignment = 64;
constexpr uint32_t kMostSlabsInSegment = kSlabsPerSegment - 1;

}  // namespace

void Space::FormatRun(Slab* slab, SlabKind kind, uint32_t slabs, uint32_t first) {
  internal::UnpoisonRange(internal::SlabBase(slab), size_t{slabs} * kSlabBytes);
  slab->free = nullptr;
  slab->used.store(1, std::memory_order_relaxed);
  slab->owner.store(0, std::memory_order_relaxed);
  slab->link_offset = kind == SlabKind::kRaw ? 0 : static_cast<uint32_t>(Header::kBytes);
  slab->first = first;
  slab->block_bytes = uint64_t{slabs} * kSlabBytes - first;
  slab->capacity = 1;
  slab->run_slabs = slabs;
  slab->kind = kind;
  slab->carved.store(1, std::memory_order_relaxed);
  slab->remote.store(0, std::memory_order_relaxed);
  slab->clean = false;
  slab->finalizable.store(false, std::memory_order_relaxed);
  if (kind != SlabKind::kRaw) {
    // The memory may be another layout's: the header must read FREE before anyone can look.
    reinterpret_cast<Header*>(internal::SlabBase(slab) + first)->Bear(0, 0);
  }
  slab->formatted.store(true, std::memory_order_release);
}

void* Space::AllocateRun(SlabKind kind, size_t payload_bytes, size_t alignment) {
  const bool over_aligned = alignment > kRunAlignment;
  size_t first = 0;
  if (kind != SlabKind::kRaw) first = (over_aligned ? alignment : kRunAlignment) - Header::kBytes;
  os::NoteActivity();
  const size_t head = first + (kind == SlabKind::kRaw ? 0 : Header::kBytes);
  if (payload_bytes > reserved_bytes() - head) return nullptr;
  const auto slabs = static_cast<uint32_t>((head + payload_bytes + kSlabBytes - 1) / kSlabBytes);

  Slab* slab = nullptr;
  if (slabs > kMostSlabsInSegment) {
    if (!Charge(slabs)) return nullptr;
    slab = ClaimSegments(static_cast<uint32_t>(slabs / kSlabsPerSegment + 1));
    if (slab == nullptr) Uncharge(slabs);
  } else {
    if (!over_aligned) slab = runs_[static_cast<int>(kind)][slabs].Pop(base_);
    if (slab != nullptr) {
      if (slab->clean) {
        if (!Charge(slabs)) {
          runs_[static_cast<int>(kind)][slabs].Push(base_, slab);
          return nullptr;
        }
        slab->clean = false;
      } else {
        cached_run_slabs_.fetch_sub(slabs, std::memory_order_relaxed);
      }
      slab->used.store(1, std::memory_order_relaxed);
      return internal::SlabBase(slab) + first;
    }
    slab = ClaimRun(slabs);
  }
  if (slab == nullptr) return nullptr;
  FormatRun(slab, kind, slabs, static_cast<uint32_t>(first));
  return internal::SlabBase(slab) + first;
}

void Space::FreeRun(internal::Slot* slot, Slab* slab) {
  const uint32_t slabs = slab->run_slabs;
  const bool reusable = slabs <= kMostSlabsInSegment && slab->first < kRunAlignment;
  const bool cache_full =
      cached_run_slabs_.load(std::memory_order_relaxed) + slabs > kMaxCachedRunSlabs;
  if (!reusable || slabs >= kLargeRunSlabs || cache_full) {
    // The header then reads zero: FREE.
    os::Decommit(internal::SlabBase(slab), size_t{slabs} * kSlabBytes);
    slab->clean = true;
    Uncharge(slabs);
  } else {
    cached_run_slabs_.fetch_add(slabs, std::memory_order_relaxed);
  }
  // As in FreeChain: who finds no block in use and waits for the brackets is alone.
  const internal::QuietBracket bracket(slot);
  slab->used.store(0, std::memory_order_relaxed);
  (reusable ? runs_[static_cast<int>(slab->kind)][slabs] : odd_runs_).Push(base_, slab);
  NoteEmpty();
}

// Collector thread: the addresses of a huge run become unused segments.
void Space::CloseHuge(Slab* slab) {
  const auto offset = static_cast<size_t>(internal::SlabBase(slab) - base_);
  const auto start = static_cast<uint32_t>(offset / kSegmentBytes);
  const auto segments = static_cast<uint32_t>(slab->run_slabs / kSlabsPerSegment + 1);
  for (uint32_t i = start; i < start + segments; ++i) {
    use_[i].store(SegmentUse::kUnused, std::memory_order_release);
  }
  os::Decommit(SegmentAt(start), kSlabBytes);
  for (uint32_t i = start; i < start + segments; ++i) {
    unused_[i / 64].fetch_or(uint64_t{1} << (i % 64), std::memory_order_release);
  }
}

}  // namespace reef::memory
