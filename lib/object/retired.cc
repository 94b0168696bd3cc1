#include "lib/object/retired.h"

#include <atomic>
#include <utility>

#include "lib/object/dying.h"
#include "lib/object/surplus.h"
#include "lib/os/bell.h"
#include "lib/os/chaos.h"
#include "lib/os/clock.h"
#include "lib/threads/grace.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/slab.h"

namespace reef::object {
namespace {

// The batch whose grace period is running. `busy` also guards the batches of the slots.
struct Reclaimer {
  std::atomic<bool> busy{false};  // tried, never waited for; acquire/release guards the rest
  Header* waiting = nullptr;
  threads::GraceTicket ticket = 0;
  // Under `busy`. Release: raised before the slots' gathered_bytes, lowered with the batch in hand;
  // acquire by RetiredBytes.
  std::atomic<uint64_t> waiting_bytes{0};
};

constinit Reclaimer g_reclaimer;
std::atomic<uint64_t> g_reclaimed{0};  // relaxed, tells progress

// Pushes all of a list on another one; returns their bytes.
uint64_t MoveAll(Header* from, Header** to) {
  uint64_t bytes = 0;
  for (Header* next = nullptr; from != nullptr; from = next) {
    next = from->Link();
    bytes += internal::SlabOf(from)->block_bytes;
    from->SetLink(*to);
    *to = from;
  }
  return bytes;
}

void Gather(Reclaimer& reclaimer) {
  threads::ForEachSlot([&](Slot& slot) {
    uint64_t bytes = MoveAll(std::exchange(slot.retired_waiting, nullptr), &reclaimer.waiting);
    if (slot.retired.load(std::memory_order_relaxed) != nullptr) {
      Header* listed = slot.retired.exchange(nullptr, std::memory_order_acquire);
      REEF_CHAOS_POINT("retired list taken, not counted as waiting");
      bytes += MoveAll(listed, &reclaimer.waiting);
    }
    if (bytes == 0) return;
    // Here before there: at no moment does the sum read too low. Both are written by the reclaimer
    // alone, which `busy` passes on.
    const uint64_t waiting = reclaimer.waiting_bytes.load(std::memory_order_relaxed);
    reclaimer.waiting_bytes.store(waiting + bytes, std::memory_order_release);
    REEF_CHAOS_POINT("retired bytes counted twice");
    const uint64_t gathered = slot.gathered_bytes.load(std::memory_order_relaxed);
    slot.gathered_bytes.store(gathered + bytes, std::memory_order_release);
  });
  REEF_CHAOS_POINT("retired lists gathered, no ticket taken");
  // After the last unlinking: the ticket's grace period starts later.
  if (reclaimer.waiting != nullptr) reclaimer.ticket = threads::TakeGraceTicket();
}

// Under `busy`. True if the grace period of that ticket has passed: it is carried on if need be.
bool HasPassed(threads::GraceTicket ticket) {
  threads::AdvanceGrace();
  // If another grace period was running before, ours is the next.
  if (!threads::GracePassed(ticket)) threads::AdvanceGrace();
  return threads::GracePassed(ticket);
}

// Of what the slot's own thread has retired: the batch that is due, linked; null if none is.
Header* TakeOwnDue(Slot* slot) {
  if (g_reclaimer.busy.exchange(true, std::memory_order_acquire)) return nullptr;
  if (slot->retired_waiting == nullptr) {
    slot->retired_waiting = slot->retired.exchange(nullptr, std::memory_order_acquire);
    // After the unlinking, as in Gather.
    if (slot->retired_waiting != nullptr) slot->retired_ticket = threads::TakeGraceTicket();
  }
  Header* due = nullptr;
  if (slot->retired_waiting != nullptr && HasPassed(slot->retired_ticket)) {
    const uint64_t bytes = MoveAll(std::exchange(slot->retired_waiting, nullptr), &due);
    const uint64_t gathered = slot->gathered_bytes.load(std::memory_order_relaxed);
    slot->gathered_bytes.store(gathered + bytes, std::memory_order_release);
  }
  g_reclaimer.busy.store(false, std::memory_order_release);
  return due;
}

void PushAllDying(Slot* slot, Header* due) {
  for (Header* next = nullptr; due != nullptr; due = next) {
    next = due->Link();
    PushDying(slot, due);
  }
}

// What this thread has retired itself, and nobody else's.
void ReclaimOwn(Slot* slot) {
  const InHand in_hand(slot);
  Header* due = TakeOwnDue(slot);
  if (due == nullptr) return;
  // In a drain it would be destroyed by that, as if the statement had dropped it.
  if (slot->draining && MayLeaveUnasked()) return LeaveDead(due);
  PushAllDying(slot, due);
  DrainUnasked(slot);
}

}  // namespace

void Retire(Slot* slot, Header* header) {
  const uint64_t bytes = internal::SlabOf(header)->block_bytes;
  const uint64_t before = slot->retired_bytes.load(std::memory_order_relaxed);
  slot->retired_bytes.store(before + bytes, std::memory_order_relaxed);
  Header* head = slot->retired.load(std::memory_order_relaxed);
  do {
    header->SetLink(head);
    // Sequentially consistent: the bell's contract. Release: the link is written, and the bytes.
  } while (!slot->retired.compare_exchange_weak(head, header, std::memory_order_seq_cst,
                                                std::memory_order_relaxed));
  REEF_CHAOS_POINT("retired");
  os::RingBellForMore();
  os::StartAbsentCollector();
  if (before / kRetiredBytes == (before + bytes) / kRetiredBytes) return;
  if (CanLeaveSurplus()) {
    ReclaimOwn(slot);
  } else {
    (void)ReclaimRetired(slot);  // the collector thread, or nobody else would
  }
}

namespace {

enum class Outcome { kNothing, kWaits, kDestroyed };

Outcome ReclaimOnce(Slot* slot) {
  const InHand in_hand(slot);
  Reclaimer& reclaimer = g_reclaimer;
  if (reclaimer.busy.exchange(true, std::memory_order_acquire)) return Outcome::kWaits;
  if (reclaimer.waiting == nullptr) Gather(reclaimer);
  Header* due = nullptr;
  Outcome outcome = Outcome::kNothing;
  if (reclaimer.waiting != nullptr) {
    outcome = Outcome::kWaits;
    if (HasPassed(reclaimer.ticket)) {
      due = std::exchange(reclaimer.waiting, nullptr);
      reclaimer.waiting_bytes.store(0, std::memory_order_release);
      outcome = Outcome::kDestroyed;
      g_reclaimed.fetch_add(1, std::memory_order_relaxed);
    }
  }
  reclaimer.busy.store(false, std::memory_order_release);
  PushAllDying(slot, due);
  Drain(slot);
  return outcome;
}

}  // namespace

bool ReclaimRetired(Slot* slot) {
  // A published object may hold the last edge to the next one, and so on along a list: a grace
  // period each, but without a pause in between while they pass at once.
  constexpr int kMostInARow = 2048;
  Outcome outcome = Outcome::kDestroyed;
  for (int i = 0; i < kMostInARow && outcome == Outcome::kDestroyed; ++i) {
    outcome = ReclaimOnce(slot);
  }
  return outcome != Outcome::kNothing;
}

void HoldReclaimer() {
  os::Backoff backoff;
  while (g_reclaimer.busy.exchange(true, std::memory_order_acquire)) backoff.Pause();
}

void ReleaseReclaimer() { g_reclaimer.busy.store(false, std::memory_order_release); }

void RecountRetired() {
  threads::ForEachSlot([](Slot& slot) {
    uint64_t bytes = 0;
    const Header* const lists[] = {slot.retired.load(std::memory_order_relaxed),
                                   slot.retired_waiting};
    for (const Header* header : lists) {
      for (; header != nullptr; header = header->Link()) {
        bytes += internal::SlabOf(header)->block_bytes;
      }
    }
    slot.gathered_bytes.store(0, std::memory_order_relaxed);
    slot.retired_bytes.store(bytes, std::memory_order_relaxed);
  });
}

uint64_t CountReclaimed() { return g_reclaimed.load(std::memory_order_relaxed); }

uint64_t RetiredBytes() {
  // The slots first, and acquire: what was gathered from a slot is counted as waiting, or has been
  // taken in hand; and it had been retired, so the difference is never negative.
  uint64_t bytes = 0;
  threads::ForEachSlot([&bytes](const Slot& slot) {
    const uint64_t gathered = slot.gathered_bytes.load(std::memory_order_acquire);
    bytes += slot.retired_bytes.load(std::memory_order_relaxed) - gathered;
  });
  return bytes + g_reclaimer.waiting_bytes.load(std::memory_order_acquire);
}

}  // namespace reef::object
