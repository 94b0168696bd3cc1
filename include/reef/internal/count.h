// The inline half of the biased reference count; the rules and their reasons are in header.h, the
// slow paths in lib/object/count.cc.
//
// The owner's count operations first store the object's address in the slot's `busy` word and clear
// it at the end. A revoker (lib/object/revocation.h) that has marked the object REVOKING and issued
// a membarrier reads `busy`, then `local`: unless this thread stands in the middle of an operation
// on that very object, its plain loads and stores of `local` lie entirely before the barrier or see
// REVOKING. That is what lets the owner count without atomic read-modify-writes. Two looks at
// `local` need no announcement: that the object is another's, because only the thread itself could
// make itself the owner; and, with `shared` untouched, that it is private (I4), because nobody
// revokes an object for which nothing is queued.
#ifndef REEF_INTERNAL_COUNT_H_
#define REEF_INTERNAL_COUNT_H_

#include <atomic>
#include <cstdint>

#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::internal {

enum class Kind : uint8_t { kExt, kHeap };  // a root (Ref) or an edge (Member)

// --- slow paths, lib/object/count.cc ---

// A local field has reached its top bit: moves half of it to shared. By the owner, busy set.
void SpillLocal(Header* header, uint32_t local);
// The shared word is immortal or full; or DEAD, by a misuse that checked builds diagnose: it is
// then a link, and stays as it is.
void IncrementSharedSlow(Header* header, Kind kind);
// Drops one reference of `kind`, inside a bracket, by the full rule. Returns what is due once the
// bracket is closed, to be passed to Die(): the object if it is now dead, or a mark that the
// pending list wants to be worked off; null if nothing.
[[nodiscard]] Header* DecrementInBracket(const Bracket& bracket, Header* header, Kind kind);
// Turns a root into an edge (a moved Ref), inside a bracket. Returns as DecrementInBracket.
[[nodiscard]] Header* ConvertToHeap(const Bracket& bracket, Header* header);
// Drops a root: one that the owner's half says is the last reference, ...
void DropLastExt(Slot* slot, Header* header);
// ... and any other. `local` was read just now.
void DropExtSlow(const Slot* slot, Header* header, uint32_t local);
// Drops a root without running destructors: what dies by it is left to the collector thread
// (lib/object/surplus.cc).
void DropExtLater(Header* header);
// Empties an edge that points to `header`: its bracket, and what is due after it.
void DropEdge(std::atomic<void*>* edge, Header* header);
// The same for any edge, by the full rule.
void DropEdgeGeneral(std::atomic<void*>* edge, Header* header);
// Does what a bracket left due: destroys a dead object and all that dies with it, now or once it
// may; or works the pending list off. Outside brackets.
void Die(Slot* slot, Header* header);

// --- what Ref offers beside counting ---

// Gives up the bias of an object with one reference, or takes it (lib/object/bias.cc).
void ShareUnique(Header* header);
void AdoptUnique(Header* header);
// The sum of the four fields.
int64_t CountReferences(const Header* header);
size_t BlockBytes(const Header* header);
void Immortalize(Header* header);

// Checked builds: aborts if the object is being destroyed (lib/object/place_check.cc).
void CheckMayBeCounted(const Header* header);

// I4: no thread but the caller, and those it lent the object to, can reach it.
REEF_INLINE bool IsPrivate(const Header* header) {
  return header->Shared(std::memory_order_acquire) == kSharedInit;
}

class BusyScope {
 public:
  REEF_INLINE BusyScope(Slot* slot, const Header* header) : slot_(slot) {
    slot_->busy.store(header, std::memory_order_release);
    CompilerBarrier();
  }
  REEF_INLINE ~BusyScope() {
    CompilerBarrier();
    slot_->busy.store(nullptr, std::memory_order_release);
  }
  BusyScope(const BusyScope&) = delete;
  BusyScope& operator=(const BusyScope&) = delete;

 private:
  Slot* const slot_;
};

REEF_INLINE bool IsOwner(const Slot* slot, uint32_t local) {
  return (local ^ static_cast<uint32_t>(slot->birth)) <= kLocalCounts;
}

REEF_INLINE void IncrementShared(Header* header, Kind kind) {
  const uint64_t word = header->Shared(std::memory_order_relaxed);
  const bool full = kind == Kind::kExt ? ExtIsFull(word) : HeapIsFull(word);
  if (REEF_UNLIKELY(full || (word & (kImmortal | kDead)) != 0)) {
    IncrementSharedSlow(header, kind);
    return;
  }
  header->AddShared(kind == Kind::kExt ? kSharedExt : kSharedHeap);
}

// Counts one more reference. The caller holds one already, or is the newborn object's maker.
REEF_INLINE void Increment(Slot* slot, Header* header, Kind kind) {
  if (REEF_IS_CHECKED) CheckMayBeCounted(header);
  {
    const BusyScope busy(slot, header);
    const uint32_t local = header->Local(std::memory_order_relaxed);
    if (REEF_LIKELY(IsOwner(slot, local))) {
      const uint32_t next = local + (kind == Kind::kExt ? kLocalExt : kLocalHeap);
      header->SetLocal(next);
      if (REEF_UNLIKELY((next & (kLocalExtSpill | kLocalHeapSpill)) != 0)) SpillLocal(header, next);
      return;
    }
  }
  IncrementShared(header, kind);
}

REEF_INLINE void IncrementExt(Header* header) { Increment(tls_slot, header, Kind::kExt); }

// Drops a root. Inline is only the owner's drop that is not the last: it needs no bracket, because
// the object stays a root.
REEF_INLINE void DropExt(Header* header) {
  Slot* slot = tls_slot;
  if (header->Local(std::memory_order_relaxed) == static_cast<uint32_t>(slot->birth)) {
    return DropLastExt(slot, header);
  }
  slot->busy.store(header, std::memory_order_release);
  CompilerBarrier();
  const uint32_t local = header->Local(std::memory_order_relaxed);
  const bool enough = IsOwner(slot, local) && LocalExtOf(local) > 1;
  if (REEF_LIKELY(enough)) header->SetLocal(local - kLocalExt);
  CompilerBarrier();
  slot->busy.store(nullptr, std::memory_order_release);
  if (REEF_UNLIKELY(!enough)) DropExtSlow(slot, header, local);
}

// Drops an edge, inside a bracket. Inline is the owner's drop that leaves something in `local`.
[[nodiscard]] REEF_INLINE Header* DropHeap(const Bracket& bracket, Header* header) {
  Slot* slot = bracket.slot();
  {
    const BusyScope busy(slot, header);
    const uint32_t local = header->Local(std::memory_order_relaxed);
    if (REEF_LIKELY(IsOwner(slot, local) && LocalHeapOf(local) != 0)) {
      const uint32_t next = local - kLocalHeap;
      if (LocalExtOf(next) != 0) {
        header->SetLocal(next);  // a visible root remains: alive, and no suspect
        return nullptr;
      }
    }
  }
  return DecrementInBracket(bracket, header, Kind::kHeap);
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_COUNT_H_
