// The supply of slabs: taking free ones by compare-exchange on a segment's bitmap.
#include <bit>

#include "lib/memory/space.h"
#include "lib/os/chaos.h"
#include "lib/os/fault.h"
#include "lib/os/pages.h"
#include "reef/internal/check.h"
#include "reef/internal/poison.h"

namespace reef::memory {

using internal::ClassBytes;
using internal::ClassFirstOffset;
using internal::Header;
using internal::kSegmentBytes;
using internal::kSlabBytes;

namespace {

constexpr uint64_t kAllSlabs = ~uint64_t{1};  // slab 0 is the Segment record

constexpr uint64_t Bits(uint32_t position, uint32_t count) {
  return (count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << position;
}

// The lowest place of `count` consecutive ones; 64 if there is none.
uint32_t FindRun(uint64_t bits, uint32_t count) {
  uint64_t starts = bits;
  for (uint32_t i = 1; i < count && starts != 0; ++i) starts &= bits >> i;
  return starts == 0 ? 64 : static_cast<uint32_t>(std::countr_zero(starts));
}

}  // namespace

void Space::ShowSegment(uint32_t segment) {
  summary_[segment / 64].fetch_or(uint64_t{1} << (segment % 64), std::memory_order_release);
}

void Space::HideSegment(uint32_t segment) {
  summary_[segment / 64].fetch_and(~(uint64_t{1} << (segment % 64)), std::memory_order_seq_cst);
  // Slabs may have come back in between; sequentially consistent on both sides, so one of us sees
  // the other. (The returner sets the free bits, then shows.)
  if (free_[segment].load(std::memory_order_seq_cst) != 0) ShowSegment(segment);
}

void Space::ShowAllSegments() {
  const uint32_t segments = high_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < segments; ++i) {
    if (free_[i].load(std::memory_order_relaxed) != 0) ShowSegment(i);
  }
}

Slab* Space::ClaimIn(uint32_t segment, uint32_t slabs) {
  uint64_t seen = free_[segment].load(std::memory_order_acquire);
  for (;;) {
    // Memory that is still there first: it costs no page faults.
    uint32_t position = FindRun(seen & dirty_[segment].load(std::memory_order_relaxed), slabs);
    if (position == 64) position = FindRun(seen, slabs);
    if (position == 64) return nullptr;
    const uint64_t wanted = Bits(position, slabs);
    // Acquire: pairs with ReturnToSupply; the last layout is over and done.
    if (!free_[segment].compare_exchange_weak(seen, seen & ~wanted, std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
      continue;
    }
    if ((seen & ~wanted) == 0) HideSegment(segment);
    const uint64_t was_dirty =
        dirty_[segment].fetch_and(~wanted, std::memory_order_relaxed) & wanted;
    const auto fresh = slabs - static_cast<uint32_t>(std::popcount(was_dirty));
    if (fresh != 0 && !Charge(fresh)) {
      dirty_[segment].fetch_or(was_dirty, std::memory_order_relaxed);
      free_[segment].fetch_or(wanted, std::memory_order_seq_cst);
      ShowSegment(segment);
      return nullptr;
    }
    return &SegmentAt(segment)->slabs[position];
  }
}

bool Space::ClaimUnused(uint32_t segment) {
  const uint64_t bit = uint64_t{1} << (segment % 64);
  // Acquire: pairs with the release of whoever closed the segment's last use.
  return (unused_[segment / 64].fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0;
}

bool Space::IsUnused(uint32_t segment) const {
  return (unused_[segment / 64].load(std::memory_order_relaxed) >> (segment % 64) & 1) != 0;
}

void Space::PrepareSegment(uint32_t segment, SegmentUse use) {
  // From some size on, huge pages make walking and marking faster and cost little; small heaps
  // stay small.
  constexpr uint32_t kSmallHeapSegments = 1;
  if (huge_pages_ && segment >= kSmallHeapSegments) {
    os::AdviseHuge(SegmentAt(segment), kSegmentBytes);
  }
  if (use != SegmentUse::kHugeTail) {
    // Zero pages are valid records: never used before, or given back when the last use ended.
    Segment* record = SegmentAt(segment);
    record->core = core_;
    record->index = segment;
  }
  use_[segment].store(use, std::memory_order_release);
  uint32_t high = high_.load(std::memory_order_relaxed);
  while (high <= segment &&
         !high_.compare_exchange_weak(high, segment + 1, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
  }
}

bool Space::OpenSegment() {
  if (os::IsFaultDue()) return false;
  for (uint32_t word = 0; word < (segments_ + 63) / 64; ++word) {
    uint64_t bits = unused_[word].load(std::memory_order_relaxed);
    for (; bits != 0; bits &= bits - 1) {
      const uint32_t segment = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      if (!ClaimUnused(segment)) continue;
      PrepareSegment(segment, SegmentUse::kSlabs);
      free_[segment].store(kAllSlabs, std::memory_order_seq_cst);
      ShowSegment(segment);
      return true;
    }
  }
  return false;
}

Slab* Space::ClaimRun(uint32_t slabs) {
  for (;;) {
    const uint32_t words = (high_.load(std::memory_order_acquire) + 63) / 64;
    for (uint32_t word = 0; word < words; ++word) {
      uint64_t bits = summary_[word].load(std::memory_order_acquire);
      for (; bits != 0; bits &= bits - 1) {
        const uint32_t segment = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
        if (Slab* slab = ClaimIn(segment, slabs)) return slab;
      }
    }
    if (!HasRoom(slabs) || !OpenSegment()) return nullptr;
  }
}

// Consecutive unused segments, for a run that exceeds one.
Slab* Space::ClaimSegments(uint32_t segments) {
  const std::lock_guard<std::mutex> lock(huge_mutex_);
  uint32_t start = 0;
  while (start + segments <= segments_) {
    // A look first: bits that are held only while probing would make an OpenSegment fail for
    // nothing.
    if (!IsUnused(start)) {
      ++start;
      continue;
    }
    uint32_t claimed = 0;
    while (claimed < segments && IsUnused(start + claimed) && ClaimUnused(start + claimed)) {
      ++claimed;
    }
    if (claimed == segments) {
      for (uint32_t i = 1; i < segments; ++i) PrepareSegment(start + i, SegmentUse::kHugeTail);
      PrepareSegment(start, SegmentUse::kHugeHead);
      return &SegmentAt(start)->slabs[1];
    }
    for (uint32_t i = 0; i < claimed; ++i) {
      unused_[(start + i) / 64].fetch_or(uint64_t{1} << ((start + i) % 64),
                                         std::memory_order_release);
    }
    start += claimed + 1;
  }
  return nullptr;
}

Slab* Space::TakeSlab(SlabKind kind, int size_class) {
  Slab* slab = ClaimRun(1);
  if (slab == nullptr) return nullptr;
  REEF_CHAOS_POINT("slab taken");
  internal::UnpoisonRange(internal::SlabBase(slab), kSlabBytes);
  const size_t bytes = ClassBytes(size_class);
  slab->free = nullptr;
  slab->used.store(0, std::memory_order_relaxed);
  slab->owner.store(0, std::memory_order_relaxed);
  slab->link_offset = kind == SlabKind::kRaw ? 0 : static_cast<uint32_t>(Header::kBytes);
  slab->first = static_cast<uint32_t>(ClassFirstOffset(kind, size_class));
  slab->block_bytes = bytes;
  slab->capacity = static_cast<uint32_t>(internal::BlocksPerSlab(bytes, slab->first));
  slab->run_slabs = 0;
  slab->size_class = static_cast<uint8_t>(size_class);
  slab->kind = kind;
  slab->carved.store(0, std::memory_order_relaxed);
  slab->finalizable.store(false, std::memory_order_relaxed);
  slab->remote.store(0, std::memory_order_relaxed);
  slab->formatted.store(true, std::memory_order_release);
  return slab;
}

Slab* Space::PopAvailable(SlabKind kind, int size_class) {
  return available_[static_cast<int>(kind)][size_class].Pop(base_);
}

void Space::PushAvailable(Slab* slab, bool empty) {
  available_[static_cast<int>(slab->kind)][slab->size_class].Push(base_, slab);
  if (empty) NoteEmpty();
}

}  // namespace reef::memory
