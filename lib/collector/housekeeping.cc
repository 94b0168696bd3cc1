#include "lib/collector/housekeeping.h"

#include <mutex>
#include <shared_mutex>

#include "lib/memory/thread_cache.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/slot.h"

namespace reef::collector {

bool Settle() {
  internal::Slot* slot = internal::CurrentSlot();
  (void)object::RevokeAllPending(slot);
  (void)object::ReclaimRetired(slot);
  // Asked afterwards: each feeds the other, by the destructors it runs.
  return object::CountPending() != 0 || object::RetiredBytes() != 0;
}

void SettleAll(Nanoseconds patience) {
  Nanoseconds deadline = os::Now() + patience;
  const auto progress = [] { return object::CountSettled() + object::CountReclaimed(); };
  uint64_t settled = progress();
  os::Backoff backoff;
  while (Settle() && os::Now() < deadline) {
    if (progress() == settled) {
      backoff.Pause();
    } else {
      settled = progress();
      deadline = os::Now() + patience;
    }
  }
}

bool ReturnMemory(CollectedHeap* heap) {
  if (heap->quarantine.count != 0) {
    threads::AdvanceGrace();
    if (!threads::GracePassed(heap->quarantine_ticket)) return true;
    {
      const std::unique_lock<std::shared_mutex> lock(heap->layout);
      heap->space->ReturnToSupply(heap->quarantine);
    }
    heap->quarantine = {};
  }
  if (heap->space->HasEmpty()) {
    heap->quarantine = heap->space->TakeEmpty();
    if (heap->quarantine.count != 0) heap->quarantine_ticket = threads::TakeGraceTicket();
  }
  if (heap->space->HasUnpurged()) heap->space->Purge(false);
  return heap->quarantine.count != 0 || heap->space->HasEmpty() || heap->space->HasUnpurged();
}

void ReturnAllMemory(CollectedHeap* heap) {
  constexpr Nanoseconds kPatience = std::chrono::milliseconds(100);
  // Two rounds: what was in quarantine already, then what is empty now.
  for (int round = 0; round < 2; ++round) {
    const Nanoseconds deadline = os::Now() + kPatience;
    os::Backoff backoff;
    (void)ReturnMemory(heap);
    while (heap->quarantine.count != 0 && os::Now() < deadline) {
      backoff.Pause();
      (void)ReturnMemory(heap);
    }
  }
  heap->space->Purge(true);
}

void EmptyOrphans(const std::vector<CollectedHeap*>& heaps) {
  std::vector<internal::Slot*> claimed;
  while (internal::Slot* slot = threads::ClaimOrphan()) {
    claimed.push_back(slot);
    if (slot->emptied) continue;
    for (CollectedHeap* heap : heaps) memory::ReleaseSlabs(slot, heap->space.get());
    slot->emptied = true;
  }
  for (internal::Slot* slot : claimed) threads::ReturnOrphan(slot);
}

}  // namespace reef::collector
