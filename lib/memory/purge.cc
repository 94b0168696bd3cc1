// The way back: empty slabs to the supply, their memory to the system. Collector thread only.
//
// Hysteresis: Purge gives back what was already free when it last ran, so a program that frees and
// allocates at a steady pace keeps its memory, and after a peak all of it goes within two rounds.
//
// A segment that has lost memory asks for small pages from then on, until it is used anew: the
// system makes huge pages of madvised ranges in the background, and would fill the holes again.
#include <bit>

#include "lib/memory/places.h"
#include "lib/memory/space.h"
#include "lib/os/chaos.h"
#include "lib/os/pages.h"

namespace reef::memory {

using internal::kSlabBytes;
using internal::kSlabsPerSegment;

void Space::AddTo(SlabBatch* batch, Slab* slab) {
  slab->next.store(batch->first == nullptr ? 0 : NumberOf(base_, batch->first),
                   std::memory_order_relaxed);
  batch->first = slab;
  ++batch->count;
}

void Space::TakeKeptEmpty(SlabBatch* batch, CacheFunction cache_of) {
  const uint32_t segments = high_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < segments; ++i) {
    if (kept_empty_[i].load(std::memory_order_relaxed) == 0) continue;
    uint64_t bits = kept_empty_[i].exchange(0, std::memory_order_relaxed);
    // Noted in an earlier use of the segment.
    if (use_[i].load(std::memory_order_acquire) != SegmentUse::kSlabs) continue;
    for (; bits != 0; bits &= bits - 1) {
      Slab* slab = &SegmentAt(i)->slabs[std::countr_zero(bits)];
      // The slab may have another layout by now (acquire), or another owner: then it stands in no
      // place of that cache.
      if (!slab->formatted.load(std::memory_order_acquire)) continue;
      const uint32_t owner = slab->owner.load(std::memory_order_relaxed);
      if (owner != 0 && TakeOutEmpty(cache_of(owner, core_->index), slab)) AddTo(batch, slab);
    }
  }
}

SlabBatch Space::TakeEmpty() {
  SlabBatch batch;
  const auto add = [&](Slab* slab) { AddTo(&batch, slab); };
  // Acquire: what was noted before the hint (kept_empty_).
  if (!empty_hint_.exchange(false, std::memory_order_acquire)) return batch;
  for (auto& kind : available_) {
    for (auto& stack : kind) {
      for (Slab *slab = stack.PopAll(base_), *next; slab != nullptr; slab = next) {
        next = NextOf(base_, slab);
        REEF_CHAOS_POINT("available slabs taken off, not judged");
        // Off the list and owned by nobody, `used` is constant; acquire, so that the freed blocks'
        // last uses come before what happens to the slab now.
        const uint64_t remote = slab->remote.load(std::memory_order_acquire);
        if (internal::RemoteCount(remote) == slab->used.load(std::memory_order_relaxed)) {
          add(slab);
        } else {
          stack.Push(base_, slab);
        }
      }
    }
  }
  for (auto& kind : runs_) {
    for (auto& stack : kind) {
      for (Slab *slab = stack.PopAll(base_), *next; slab != nullptr; slab = next) {
        next = NextOf(base_, slab);
        if (!slab->clean) {
          cached_run_slabs_.fetch_sub(slab->run_slabs, std::memory_order_relaxed);
        }
        add(slab);
      }
    }
  }
  for (Slab *slab = odd_runs_.PopAll(base_), *next; slab != nullptr; slab = next) {
    next = NextOf(base_, slab);
    add(slab);
  }
  return batch;
}

void Space::ReturnToSupply(const SlabBatch& batch) {
  for (Slab *slab = batch.first, *next; slab != nullptr; slab = next) {
    next = NextOf(base_, slab);
    slab->formatted.store(false, std::memory_order_release);
    REEF_CHAOS_POINT("layout gone, not in the supply");
    DropWeakTable(slab);
    const Segment* segment = internal::SegmentOf(slab);
    const uint32_t index = segment->index;
    const auto position = static_cast<uint32_t>(slab - segment->slabs);
    const uint32_t slabs = slab->run_slabs == 0 ? 1 : slab->run_slabs;
    if (slabs > kSlabsPerSegment - 1) {
      CloseHuge(slab);
      continue;
    }
    const uint64_t bits = ((uint64_t{1} << slabs) - 1) << position;
    if (slab->run_slabs == 0 || !slab->clean) {
      dirty_[index].fetch_or(bits, std::memory_order_relaxed);
      unpurged_ = true;
    }
    free_[index].fetch_or(bits, std::memory_order_seq_cst);
    ShowSegment(index);
  }
}

void Space::PurgeSegment(uint32_t segment, bool all) {
  const uint64_t dirty = dirty_[segment].load(std::memory_order_relaxed);
  uint64_t wanted = all ? dirty : dirty & aged_[segment];
  aged_[segment] = dirty & ~wanted;
  if (aged_[segment] != 0) unpurged_ = true;
  if (wanted == 0) return;
  // Takes the slabs as an allocation would, so that nobody uses them meanwhile.
  uint64_t seen = free_[segment].load(std::memory_order_acquire);
  while (!free_[segment].compare_exchange_weak(seen, seen & ~wanted, std::memory_order_acq_rel,
                                               std::memory_order_acquire)) {
  }
  wanted &= seen;
  REEF_CHAOS_POINT("slabs taken for the purge");
  if (huge_pages_) os::AdviseSmall(SegmentAt(segment), internal::kSegmentBytes);
  for (uint64_t left = wanted; left != 0;) {
    const int position = std::countr_zero(left);
    const int count = std::countr_one(left >> position);
    os::Decommit(
        reinterpret_cast<char*>(SegmentAt(segment)) + static_cast<size_t>(position) * kSlabBytes,
        static_cast<size_t>(count) * kSlabBytes);
    left &= count + position == 64 ? 0 : ~uint64_t{0} << (position + count);
  }
  dirty_[segment].fetch_and(~wanted, std::memory_order_relaxed);
  Uncharge(static_cast<uint64_t>(std::popcount(wanted)));
  free_[segment].fetch_or(wanted, std::memory_order_seq_cst);
  ShowSegment(segment);
}

// A segment without a slab in use is given back whole, so that huge runs find addresses.
void Space::CloseSegment(uint32_t segment) {
  constexpr uint64_t kAllSlabs = ~uint64_t{1};
  uint64_t seen = kAllSlabs;
  if (dirty_[segment].load(std::memory_order_relaxed) != 0) return;
  if (!free_[segment].compare_exchange_strong(seen, 0, std::memory_order_acq_rel,
                                              std::memory_order_relaxed)) {
    return;
  }
  REEF_CHAOS_POINT("segment claimed, not closed");
  HideSegment(segment);
  use_[segment].store(SegmentUse::kUnused, std::memory_order_release);
  os::Decommit(SegmentAt(segment), kSlabBytes);
  unused_[segment / 64].fetch_or(uint64_t{1} << (segment % 64), std::memory_order_release);
}

void Space::Purge(bool all) {
  unpurged_ = false;
  const uint32_t segments = high_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < segments; ++i) {
    if (use_[i].load(std::memory_order_acquire) != SegmentUse::kSlabs) continue;
    PurgeSegment(i, all);
    // Segment 0 stays: the next allocation should not pay for its metadata again.
    if (i != 0) CloseSegment(i);
  }
}

}  // namespace reef::memory
