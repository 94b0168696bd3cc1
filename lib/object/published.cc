// The operations of AtomicRef and AtomicMember.
//
// Why Load may count up an object that it found in a cell: it was stored there, so it is PUBLISHED;
// a published object's header stays its header for a grace period after its death, and a grace
// period does not pass while this bracket is open. An increment by compare-exchange fails once DEAD
// is set (I3); the owner's plain increment is safe because the only death of an object that still
// has an owner is the owner's own, which gives the ownership up first.
#include "reef/internal/published.h"

#include "lib/object/upgrade.h"
#include "lib/os/chaos.h"
#include "reef/internal/count.h"
#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::object {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this is about headers

bool TryIncrementExt(Slot* slot, Header* header) {
  const BusyScope busy(slot, header);
  const uint32_t local = header->Local(std::memory_order_relaxed);
  if (IsOwner(slot, local)) {
    const uint32_t next = local + kLocalExt;
    header->SetLocal(next);
    if (REEF_UNLIKELY((next & kLocalExtSpill) != 0)) SpillLocal(header, next);
    return true;
  }
  uint64_t word = header->Shared(std::memory_order_acquire);
  for (;;) {
    if ((word & kDead) != 0) return false;
    if ((word & kImmortal) != 0 || ExtIsFull(word)) {
      IncrementSharedSlow(header, Kind::kExt);
      return true;
    }
    if (header->CompareExchangeShared(&word, word + kSharedExt)) return true;
  }
}

}  // namespace reef::object

namespace reef::internal {
namespace {

using object::TryIncrementExt;

// The flag is set by a holder of a reference, before the release that stores the pointer in a cell.
void Publish(Header* header) {
  if ((header->Shared(std::memory_order_relaxed) & kPublished) == 0) {
    (void)header->SetFlags(kPublished);
  }
}

// Logs the target if a collection is armed and it is white.
void LogTarget(const Bracket& bracket, void* payload) {
  if (REEF_UNLIKELY(bracket.armed()) && payload != nullptr) {
    LogIfWhite(bracket, Header::Of(payload));
  }
}

}  // namespace

void* LoadPublished(const std::atomic<void*>& cell) {
  Slot* slot = CurrentSlot();
  for (;;) {
    // One bracket per try, so that a thread that retries for long holds up nobody's grace period.
    const Bracket bracket(slot);
    // Acquire: pairs with the store's release; the object is constructed and PUBLISHED.
    void* payload = cell.load(std::memory_order_acquire);
    if (payload == nullptr) return nullptr;
    REEF_CHAOS_POINT("cell read, not yet counted");
    if (TryIncrementExt(slot, Header::Of(payload))) return payload;
  }
}

bool TryCountPeeked(void* payload) {
  Slot* slot = CurrentSlot();
  const Bracket bracket(slot);
  return TryIncrementExt(slot, Header::Of(payload));
}

void* ExchangePublished(std::atomic<void*>& cell, Kind kind, void* payload) {
  Slot* slot = CurrentSlot();
  Header* due_new = nullptr;
  Header* due_old = nullptr;
  void* old = nullptr;
  if (payload != nullptr) Publish(Header::Of(payload));
  {
    const Bracket bracket(slot);
    LogTarget(bracket, payload);
    if (payload != nullptr && kind == Kind::kHeap) {
      due_new = ConvertToHeap(bracket, Header::Of(payload));
    }
    REEF_CHAOS_POINT("target counted, cell not exchanged");
    // Release: publishes the object. Acquire: the old one's.
    old = cell.exchange(payload, std::memory_order_acq_rel);
    REEF_CHAOS_POINT("cell exchanged, old target not logged");
    LogTarget(bracket, old);
    if (old != nullptr && kind == Kind::kHeap) {
      Increment(slot, Header::Of(old), Kind::kExt);
      due_old = DropHeap(bracket, Header::Of(old));
    }
  }
  if (due_new != nullptr) Die(slot, due_new);
  if (due_old != nullptr) Die(slot, due_old);
  return old;
}

bool CompareExchangePublished(std::atomic<void*>& cell, Kind kind, void* expected, void* payload) {
  Slot* slot = CurrentSlot();
  if (payload != nullptr) Publish(Header::Of(payload));
  Header* due_new = nullptr;
  Header* due_old = nullptr;
  bool stored = false;
  {
    const Bracket bracket(slot);
    LogTarget(bracket, payload);
    // An edge's count goes up before the edge exists, and comes down again if it does not.
    if (payload != nullptr && kind == Kind::kHeap) {
      Increment(slot, Header::Of(payload), Kind::kHeap);
    }
    REEF_CHAOS_POINT("target counted, cell not compared");
    void* seen = expected;
    stored = cell.compare_exchange_strong(seen, payload, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
    REEF_CHAOS_POINT("cell compared, counts not settled");
    if (payload != nullptr && kind == Kind::kHeap) {
      due_new = DecrementInBracket(bracket, Header::Of(payload), stored ? Kind::kExt : Kind::kHeap);
    }
    if (stored && expected != nullptr) {
      LogTarget(bracket, expected);
      due_old = DecrementInBracket(bracket, Header::Of(expected), kind);
    }
  }
  // Only `expected` can have died: the caller, or the cell, refers to `payload`.
  if (due_new != nullptr) Die(slot, due_new);
  if (due_old != nullptr) Die(slot, due_old);
  return stored;
}

}  // namespace reef::internal
