#include "lib/object/retired.h"

#include <atomic>

#include "lib/object/dying.h"
#include "lib/os/bell.h"
#include "lib/os/chaos.h"
#include "lib/os/clock.h"
#include "lib/threads/grace.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/slab.h"

namespace reef::object {
namespace {

// The batch whose grace period is running.
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

void Gather(Reclaimer& reclaimer) {
  threads::ForEachSlot([&](Slot& slot) {
    if (slot.retired.load(std::memory_order_relaxed) == nullptr) return;
    Header* header = slot.retired.exchange(nullptr, std::memory_order_acquire);
    REEF_CHAOS_POINT("retired list taken, not counted as waiting");
    uint64_t bytes = 0;
    while (header != nullptr) {
      Header* next = header->Link();
      bytes += internal::SlabOf(header)->block_bytes;
      header->SetLink(reclaimer.waiting);
      reclaimer.waiting = header;
      header = next;
    }
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
  if (before / kRetiredBytes != (before + bytes) / kRetiredBytes) (void)ReclaimRetired(slot);
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
    threads::AdvanceGrace();
    // If another grace period was running before, ours is the next.
    if (!threads::GracePassed(reclaimer.ticket)) threads::AdvanceGrace();
    outcome = Outcome::kWaits;
    if (threads::GracePassed(reclaimer.ticket)) {
      due = reclaimer.waiting;
      reclaimer.waiting = nullptr;
      reclaimer.waiting_bytes.store(0, std::memory_order_release);
      outcome = Outcome::kDestroyed;
      g_reclaimed.fetch_add(1, std::memory_order_relaxed);
    }
  }
  reclaimer.busy.store(false, std::memory_order_release);
  while (due != nullptr) {
    Header* next = due->Link();
    PushDying(slot, due);
    due = next;
  }
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
    for (const Header* header = slot.retired.load(std::memory_order_relaxed); header != nullptr;
         header = header->Link()) {
      bytes += internal::SlabOf(header)->block_bytes;
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
