// The slow paths of the biased count: spilling, shared decrements, merging, death.
//
// Everything here that takes a reference away runs inside one bracket with its consequences: the
// count goes down, and if that was the last reference, DEAD is set and the stage is DYING before
// the bracket ends. The colour is read, and the log written, before the decrement: afterwards
// another thread may destroy the object. (Model: tests/models/count.pml.)
#include "reef/internal/count.h"

#include "lib/object/bias.h"
#include "lib/object/dying.h"
#include "lib/object/revocation.h"
#include "lib/object/sole.h"
#include "lib/object/subject.h"
#include "lib/os/chaos.h"
#include "reef/internal/edge.h"
#include "reef/internal/slab.h"
#include "reef/internal/type_info.h"

namespace reef::internal {
namespace {

constexpr uint64_t UnitOf(Kind kind) { return kind == Kind::kExt ? kSharedExt : kSharedHeap; }

constexpr bool IsFull(uint64_t word, Kind kind) {
  return kind == Kind::kExt ? ExtIsFull(word) : HeapIsFull(word);
}

// An object that stays alive lost a reference and may now be kept by a cycle alone.
void CountSuspect(Slot* slot, uint8_t colour) {
  if (!IsLeafColour(colour)) Edge::CountSuspect(slot);
}

// The counts have come to zero by an exchange that stored `word`.
[[nodiscard]] Header* Ended(Header* header, uint64_t word) {
  if ((word & kDead) != 0) header->SetStage(Stage::kDying);
  return header;
}

// The owner's counts are both zero. If nobody else ever saw the object (I4) it dies without a
// read-modify-write; otherwise the owner gives it up and merges: what is left is counted in shared.
[[nodiscard]] Header* LocalZero(const Bracket& bracket, Header* header) {
  uint64_t word = header->Shared(std::memory_order_acquire);
  CountHomeDeath(bracket.slot(), header);
  if (word == kSharedInit) {
    header->SetShared(kSharedInit | kMerged | kDead);
    header->SetLocal(0);
    header->SetStage(Stage::kDying);
    return header;
  }
  if ((word & kDead) != 0) return nullptr;  // its own destructor's handle to it
  const uint8_t colour = header->Colour();
  // Owner first: a plain increment by a former owner through a published pointer must not happen
  // once we may be dead.
  header->SetLocal(0);
  REEF_CHAOS_POINT("local zero, not merged");
  for (;;) {
    const bool zero = SharedSum(word) == 0 && (word & (kImmortal | kSticky)) == 0;
    const uint64_t merged = zero ? EndOf(word | kMerged) : word | kMerged;
    if (header->CompareExchangeShared(&word, merged)) {
      if (zero) return Ended(header, merged);
      CountSuspect(bracket.slot(), colour);
      return nullptr;
    }
  }
}

[[nodiscard]] Header* DecrementLocal(const Bracket& bracket, Header* header, uint32_t local,
                                     Kind kind) {
  const uint32_t next = local - (kind == Kind::kExt ? kLocalExt : kLocalHeap);
  const bool last_ext = kind == Kind::kExt && LocalExtOf(next) == 0;
  if (REEF_UNLIKELY(last_ext && bracket.armed())) LogIfWhite(bracket, header);
  header->SetLocal(next);
  if ((next & kLocalCounts) == 0) return LocalZero(bracket, header);
  if (LocalExtOf(next) == 0) CountSuspect(bracket.slot(), header->Colour());
  return nullptr;
}

// Sole reference, merged, no flag: the word belongs to whoever drops it.
bool IsUnique(uint64_t word, Kind kind) { return word == (kSharedInit | kMerged) + UnitOf(kind); }

// The reference goes to the pending list: it would bring a field below zero, so part of what is
// counted for this object is in the owner's half. It is kept, as a root, until the bias is revoked.
[[nodiscard]] bool TryQueue(Header* header, uint64_t* word, Kind kind) {
  uint64_t queued = *word | kQueued;
  if (kind == Kind::kHeap) queued += kSharedExt - kSharedHeap;
  return header->CompareExchangeShared(word, queued);
}

[[nodiscard]] Header* DecrementShared(const Bracket& bracket, Header* header, Kind kind) {
  Slot* slot = bracket.slot();
  const uint64_t unit = UnitOf(kind);
  const uint8_t colour = header->Colour();
  // Once, whatever the exchange below will find: a log entry too many costs nothing.
  if (REEF_UNLIKELY(bracket.armed()) && kind == Kind::kExt) LogIfWhite(bracket, header);
  uint64_t word = header->Shared(std::memory_order_acquire);
  for (;;) {
    // DEAD: a reference dropped by the object's own destructor. Full: only the collector frees it.
    if ((word & (kImmortal | kDead)) != 0 || IsFull(word, kind)) return nullptr;
    const uint64_t next = word - unit;
    const bool merged = (word & kMerged) != 0;
    if (!merged && (word & kQueued) == 0 && (SharedExt(next) < 0 || SharedSum(next) < 0)) {
      if (slot->claims_sole && word == kSharedInit && object::ClaimSole(header, kind)) {
        return LocalZero(bracket, header);
      }
      if (!TryQueue(header, &word, kind)) continue;
      CountAwayDeath(header);
      return object::Pend(slot, header);
    }
    const bool zero = merged && SharedSum(next) == 0 && (word & kSticky) == 0;
    const uint64_t desired = zero ? EndOf(next) : next;
    REEF_CHAOS_POINT("before shared decrement");
    if (zero && IsUnique(word, kind)) {
      header->SetShared(desired);
    } else if (!header->CompareExchangeShared(&word, desired)) {
      continue;
    }
    if (zero) return Ended(header, desired);
    if (kind == Kind::kHeap || SharedExt(next) <= 0) CountSuspect(slot, colour);
    return nullptr;
  }
}

REEF_NOINLINE void DropExtGeneral(Header* header) {
  Slot* slot = CurrentSlot();
  Header* due = nullptr;
  {
    const Bracket bracket(slot);
    due = DecrementInBracket(bracket, header, Kind::kExt);
  }
  if (due != nullptr) Die(slot, due);
}

// A leaf's drop elsewhere that leaves the shared counts as a drop may leave them, and is not the
// last: no bracket, because no collection looks at leaves.
REEF_INLINE bool DropSharedLeaf(Header* header) {
  uint64_t word = header->Shared(std::memory_order_relaxed);
  for (;;) {
    const uint64_t next = word - kSharedExt;
    const int64_t least = (word & kMerged) != 0 ? 1 : 0;
    if ((word & (kImmortal | kSticky | kDead | kQueued)) != 0 || SharedExt(next) < 0 ||
        SharedSum(next) < least) {
      return false;
    }
    if (header->CompareExchangeShared(&word, next)) return true;
  }
}

// From here on the field of that kind stays as it is, and with it the object, until the collector
// finds it unreachable. A full ext field keeps it a root.
void TurnSticky(Header* header) {
  if ((header->SetFlags(kSticky) & kSticky) != 0) return;
  Warn("an object has more references than can be counted",
       "it is now freed by collections only (and never, if these are roots)",
       object::SubjectOf(header));
}

}  // namespace

void SpillLocal(Header* header, uint32_t local) {
  for (const Kind kind : {Kind::kExt, Kind::kHeap}) {
    const uint32_t top = kind == Kind::kExt ? kLocalExtSpill : kLocalHeapSpill;
    const uint32_t unit = kind == Kind::kExt ? kLocalExt : kLocalHeap;
    if ((local & top) == 0) continue;
    // Shared first: at no moment does the sum of both read too low.
    if (IsFull(header->Shared(std::memory_order_relaxed), kind)) {
      TurnSticky(header);
    } else {
      header->AddShared(UnitOf(kind) * static_cast<uint64_t>(kSpillCount));
    }
    REEF_CHAOS_POINT("spilled into shared, local not lowered");
    local -= unit * static_cast<uint32_t>(kSpillCount);
    header->SetLocal(local);
  }
}

void IncrementSharedSlow(Header* header, Kind kind) {
  const uint64_t word = header->Shared(std::memory_order_relaxed);
  if ((word & (kImmortal | kDead)) != 0) return;
  if (IsFull(word, kind)) return TurnSticky(header);
  header->AddShared(UnitOf(kind));
}

Header* DecrementInBracket(const Bracket& bracket, Header* header, Kind kind) {
  const BusyScope busy(bracket.slot(), header);
  const uint32_t local = header->Local(std::memory_order_relaxed);
  REEF_CHAOS_POINT("local read");
  if (REEF_LIKELY(IsOwner(bracket.slot(), local))) {
    const uint32_t field = kind == Kind::kExt ? LocalExtOf(local) : LocalHeapOf(local);
    if (field != 0) return DecrementLocal(bracket, header, local, kind);
  }
  return DecrementShared(bracket, header, kind);
}

Header* ConvertToHeap(const Bracket& bracket, Header* header) {
  Slot* slot = bracket.slot();
  const BusyScope busy(slot, header);
  const uint32_t local = header->Local(std::memory_order_relaxed);
  const bool owner = IsOwner(slot, local);
  if (owner && LocalExtOf(local) != 0) {
    const uint32_t next = local + kLocalHeap - kLocalExt;
    REEF_CHAOS_POINT("local read, not converted");
    header->SetLocal(next);
    if (LocalExtOf(next) == 0) CountSuspect(slot, header->Colour());
    if (REEF_UNLIKELY((next & kLocalHeapSpill) != 0)) SpillLocal(header, next);
    return nullptr;
  }
  const uint8_t colour = header->Colour();
  uint64_t word = header->Shared(std::memory_order_relaxed);
  // One packed add where the old field stays at least zero ...
  while (!owner && SharedExt(word) > 0 && !ExtIsFull(word) && !HeapIsFull(word)) {
    if ((word & kImmortal) != 0) return nullptr;
    REEF_CHAOS_POINT("shared read, not converted");
    if (header->CompareExchangeShared(&word, word + kSharedHeap - kSharedExt)) {
      CountSuspect(slot, colour);
      return nullptr;
    }
  }
  // ... otherwise the new kind up first, then the old kind down by the full rule.
  if (owner) {
    header->SetLocal(local + kLocalHeap);
    if (((local + kLocalHeap) & kLocalHeapSpill) != 0) SpillLocal(header, local + kLocalHeap);
  } else {
    IncrementShared(header, Kind::kHeap);
  }
  REEF_CHAOS_POINT("edge counted, root not dropped");
  return DecrementShared(bracket, header, Kind::kExt);
}

void DropLastExt(Slot* slot, Header* header) {
  // Nothing is biased to the null slot, so `slot` is the thread's own.
  if (REEF_LIKELY(IsPrivate(header) && CountUnsampledDeath(slot))) {
    if (REEF_LIKELY(header->IsLiveTrivialLeaf())) {
      object::FreeObject(slot, header);
      return;
    }
    bool killed = false;
    REEF_CHAOS_POINT("private by its look, bracket not entered");
    {
      const BareBracket bracket(slot);
      killed = bracket.idle();
      if (REEF_LIKELY(killed)) object::KillPrivate(slot, header);
    }
    if (REEF_LIKELY(killed)) return object::Drain(slot);
  }
  DropExtGeneral(header);
}

void DropExtSlow(const Slot* slot, Header* header, uint32_t local) {
  if (!IsOwner(slot, local) && IsLeafColour(header->Colour()) && DropSharedLeaf(header)) return;
  DropExtGeneral(header);
}

}  // namespace reef::internal
