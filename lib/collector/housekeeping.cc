#include "lib/collector/housekeeping.h"

#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "lib/collector/gate.h"
#include "lib/memory/thread_cache.h"
#include "lib/object/dying.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/object/surplus.h"
#include "lib/os/fork.h"
#include "lib/threads/hazard.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/slot.h"

namespace reef::collector {
namespace {

// How long SettleAll follows a chain of destructors that make more of what it settles.
constexpr Nanoseconds kChainPatience = std::chrono::seconds(10);

// Purging closes segments, whose slabs then have no records.
void Purge(CollectedHeap* heap, bool all) {
  const std::unique_lock<std::shared_mutex> lock(heap->layout);
  heap->space->Purge(all);
}

memory::ThreadCache* CacheOfOwner(uint32_t owner, uint32_t heap) {
  // The slot of a thread that a fork has cut off has another cache now, in which no such slab
  // stands.
  internal::Slot* slot = threads::SlotAt((owner - 1) % internal::kSlabOwnerLife);
  // Acquire: a slab is owned by a thread that has made its cache.
  return std::atomic_ref<memory::ThreadCache*>(slot->caches[heap]).load(std::memory_order_acquire);
}

}  // namespace

bool Settle() {
  const os::ForkWindow window;
  internal::Slot* slot = internal::CurrentSlot();
  (void)object::RevokeAllPending(slot);
  (void)object::ReclaimRetired(slot);
  // Asked afterwards: each feeds the other, by the destructors it runs.
  return object::CountPending() != 0 || object::RetiredBytes() != 0;
}

bool SettleAll(Nanoseconds patience) {
  internal::Slot* slot = internal::CurrentSlot();
  const Nanoseconds start = os::Now();
  Nanoseconds deadline = start + patience;
  const auto progress = [] { return object::CountSettled() + object::CountReclaimed(); };
  uint64_t settled = progress();
  // The batch that was waiting may have been gathered before, the one after it is gathered now.
  const uint64_t last_batch = object::CountReclaimed() + 2;
  const uint64_t last_left = object::CountSurplusDone() + 2;
  bool reclaimed = false;
  os::Backoff backoff;
  for (;;) {
    YieldAtGate();  // held open by who waits for this; who drives as well is answered in time
    const bool waiting = Settle();
    const bool in_hand = object::CountInHand() != 0;
    // Last: what was in hand may have been left by now. What others go on leaving is not waited
    // for.
    const bool surplus = object::CountSurplusDone() < last_left && object::DestroySurplus(slot);
    if (!waiting && !in_hand && !surplus) return true;
    const Nanoseconds now = os::Now();
    if (surplus && now - start < kChainPatience) {
      // Its destructors may have made more of all the rest.
      deadline = now + patience;
      continue;
    }
    // What this thread's own destructors have dropped, and so on along a list: as long as there is
    // progress, but not for ever.
    if (slot->pending_count != 0 || slot->retired.load(std::memory_order_relaxed) != nullptr) {
      if (progress() != settled && now - start < kChainPatience) deadline = now + patience;
    } else {
      // Everything that waited at the start has gone; what else waits was dropped since.
      reclaimed =
          reclaimed || object::RetiredBytes() == 0 || object::CountReclaimed() >= last_batch;
      if (reclaimed && !in_hand && object::CountLeftOver() == 0) return true;
    }
    if (now >= deadline) return false;
    if (progress() == settled) backoff.Pause();
    settled = progress();
  }
}

void DestroyHandedOver() {
  if (!threads::AnyHandedOver()) return;
  const os::ForkWindow window;
  internal::Slot* slot = internal::CurrentSlot();
  for (Header *header = threads::TakeHandedOver(), *next; header != nullptr; header = next) {
    next = header->Link();
    object::PushDying(slot, header);
  }
  object::Drain(slot);
}

bool ReturnMemory(CollectedHeap* heap) {
  if (heap->quarantine.count != 0) {
    threads::AdvanceGrace();
    if (!threads::GracePassed(heap->quarantine_ticket)) return true;
    {
      const std::unique_lock<std::shared_mutex> lock(heap->layout);
      heap->space->ReturnToSupply(heap->quarantine);
      heap->quarantine = {};
    }
  }
  if (heap->space->HasEmpty()) {
    const std::unique_lock<std::shared_mutex> lock(heap->layout);
    heap->quarantine = heap->space->TakeEmpty();
    heap->space->TakeKeptEmpty(&heap->quarantine, &CacheOfOwner);
    if (heap->quarantine.count != 0) heap->quarantine_ticket = threads::TakeGraceTicket();
  }
  if (heap->space->HasUnpurged()) Purge(heap, heap->space->IsAboveSoftLimit());
  return heap->quarantine.count != 0 || heap->space->HasEmpty() || heap->space->HasUnpurged();
}

bool ReturnAllMemory(CollectedHeap* heap, Nanoseconds patience) {
  // Two rounds: what was in quarantine already, then what is empty now.
  for (int round = 0; round < 2; ++round) {
    const Nanoseconds deadline = os::Now() + patience;
    os::Backoff backoff;
    (void)ReturnMemory(heap);
    while (heap->quarantine.count != 0 && os::Now() < deadline) {
      {
        const os::ForkWindow window;
        backoff.Pause();
      }
      YieldAtGate();
      (void)ReturnMemory(heap);
    }
  }
  Purge(heap, true);
  return heap->quarantine.count == 0;
}

void EmptyOrphans(HeapsNow heaps_now) {
  // One at a time: new threads must find the others. No more than there are, should threads come
  // and go meanwhile.
  for (uint32_t left = threads::SlotCount(); left != 0; --left) {
    internal::Slot* slot = threads::ClaimFreshOrphan();
    if (slot == nullptr) return;
    // Asked after the claim: every heap that the slot's thread can have used has been entered.
    for (CollectedHeap* heap : heaps_now()) {
      const std::unique_lock<std::shared_mutex> lock(heap->layout);
      memory::ReleaseSlabs(slot, heap->space.get());
    }
    slot->emptied = true;
    threads::ReturnOrphan(slot);
  }
}

}  // namespace reef::collector
