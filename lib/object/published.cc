// The operations of AtomicRef, AtomicMember and AtomicMarkedMember.
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
#include "reef/internal/marked_word.h"
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

// The header of a word's target; null if it has none.
Header* HeaderIn(void* word) {
  void* payload = TargetOf(word);
  return payload == nullptr ? nullptr : Header::Of(payload);
}

// The flag is set by a holder of a reference, before the release that stores the pointer in a cell.
void Publish(Header* header) {
  if (header != nullptr && (header->Shared(std::memory_order_relaxed) & kPublished) == 0) {
    (void)header->SetFlags(kPublished);
  }
}

// Logs the target if a collection is armed and it is white.
void LogTarget(const Bracket& bracket, Header* header) {
  if (REEF_UNLIKELY(bracket.armed())) LogIfWhite(bracket, header);
}

// Puts `word` in the cell; the former target's header. The cell's reference to that is now the
// caller's.
Header* Replace(const Bracket& bracket, std::atomic<void*>& cell, Kind kind, void* word,
                Header** due, void** former) {
  Header* target = HeaderIn(word);
  LogTarget(bracket, target);
  if (target != nullptr && kind == Kind::kHeap) *due = ConvertToHeap(bracket, target);
  REEF_CHAOS_POINT("target counted, cell not exchanged");
  // Release: publishes the object. Acquire: the old one's.
  *former = cell.exchange(word, std::memory_order_acq_rel);
  REEF_CHAOS_POINT("cell exchanged, old target not logged");
  Header* old = HeaderIn(*former);
  LogTarget(bracket, old);
  return old;
}

}  // namespace

void* LoadPublished(const std::atomic<void*>& cell) {
  Slot* slot = CurrentSlot();
  for (;;) {
    // One bracket per try, so that a thread that retries for long holds up nobody's grace period.
    const Bracket bracket(slot);
    // Acquire: pairs with the store's release; the object is constructed and PUBLISHED.
    void* word = cell.load(std::memory_order_acquire);
    Header* header = HeaderIn(word);
    if (header == nullptr) return word;
    REEF_CHAOS_POINT("cell read, not yet counted");
    if (TryIncrementExt(slot, header)) return word;
  }
}

bool TryCountPeeked(void* payload) {
  Slot* slot = CurrentSlot();
  const Bracket bracket(slot);
  REEF_CHAOS_POINT("peeked, not yet counted");
  return TryIncrementExt(slot, Header::Of(payload));
}

void InitPublished(std::atomic<void*>& cell, Kind kind, void* word) {
  Header* target = HeaderIn(word);
  if (target == nullptr) return cell.store(word, std::memory_order_relaxed);
  Slot* slot = CurrentSlot();
  Header* due = nullptr;
  Publish(target);
  {
    const Bracket bracket(slot);
    LogTarget(bracket, target);
    if (kind == Kind::kHeap) due = ConvertToHeap(bracket, target);
    REEF_CHAOS_POINT("target counted, cell not initialised");
    // Release: the marker that scans the unfinished object finds the target's header.
    cell.store(word, std::memory_order_release);
  }
  if (due != nullptr) Die(slot, due);
}

void StorePublished(std::atomic<void*>& cell, Kind kind, void* word) {
  // Nothing in the place of nothing: nobody could tell the two apart, nor know by reading it that
  // the store has come to pass. Acquire: as the exchange's.
  if (word == nullptr && cell.load(std::memory_order_acquire) == nullptr) return;
  Slot* slot = CurrentSlot();
  Header* due_new = nullptr;
  Header* due_old = nullptr;
  Publish(HeaderIn(word));
  {
    const Bracket bracket(slot);
    void* former = nullptr;
    Header* old = Replace(bracket, cell, kind, word, &due_new, &former);
    if (old != nullptr) due_old = DecrementInBracket(bracket, old, kind);
  }
  if (due_new != nullptr) Die(slot, due_new);
  if (due_old != nullptr) Die(slot, due_old);
}

void* ExchangePublished(std::atomic<void*>& cell, Kind kind, void* word) {
  Slot* slot = CurrentSlot();
  Header* due_new = nullptr;
  Header* due_old = nullptr;
  void* former = nullptr;
  Publish(HeaderIn(word));
  {
    const Bracket bracket(slot);
    Header* old = Replace(bracket, cell, kind, word, &due_new, &former);
    if (old != nullptr && kind == Kind::kHeap) {
      Increment(slot, old, Kind::kExt);
      due_old = DropHeap(bracket, old);
    }
  }
  if (due_new != nullptr) Die(slot, due_new);
  if (due_old != nullptr) Die(slot, due_old);
  return former;
}

bool CompareExchangePublished(std::atomic<void*>& cell, Kind kind, void** expected, void* desired) {
  Slot* slot = CurrentSlot();
  Header* target = HeaderIn(desired);
  Header* former = HeaderIn(*expected);
  Header* due_new = nullptr;
  Header* due_old = nullptr;
  bool stored = false;
  Publish(target);
  {
    const Bracket bracket(slot);
    const bool edge = target != nullptr && kind == Kind::kHeap;
    // A look first: where another thread was faster, two counts are spared. Acquire: as the
    // exchange's failure, whose result it stands for.
    void* seen = cell.load(std::memory_order_acquire);
    if (seen == *expected) {
      LogTarget(bracket, target);
      // An edge's count goes up before the edge exists, and comes down again if it does not.
      if (edge) Increment(slot, target, Kind::kHeap);
      REEF_CHAOS_POINT("target counted, cell not compared");
      // Release: publishes the object. Acquire: the old one's, or what was found instead.
      stored = cell.compare_exchange_strong(seen, desired, std::memory_order_acq_rel,
                                            std::memory_order_acquire);
      REEF_CHAOS_POINT("cell compared, counts not settled");
      if (edge) due_new = DecrementInBracket(bracket, target, stored ? Kind::kExt : Kind::kHeap);
      // The cell's own count has kept it until here: the caller may hold none.
      if (stored && former != nullptr) {
        LogTarget(bracket, former);
        due_old = DecrementInBracket(bracket, former, kind);
      }
    }
    if (!stored) *expected = seen;
  }
  if (due_new != nullptr) Die(slot, due_new);
  if (due_old != nullptr) Die(slot, due_old);
  return stored;
}

}  // namespace reef::internal
