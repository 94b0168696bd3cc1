#include "lib/object/revocation.h"

#include <atomic>
#include <utility>

#include "lib/object/dying.h"
#include "lib/os/bell.h"
#include "lib/os/chaos.h"
#include "lib/os/membarrier.h"
#include "lib/threads/lost.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"
#include "reef/internal/count.h"
#include "reef/internal/edge.h"

namespace reef::object {
namespace {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this file is about headers

// The dropping thread revokes when this many entries were made; below kPendingEntries, because one
// bracket may make several.
constexpr uint32_t kRevokeAt = kPendingEntries - 8;
constexpr int kEntryOwnerShift = 48;

struct Entry {
  Header* header = nullptr;
  Owner owner = kNobody;  // whom REVOKING displaced; kNobody: nobody yet
};

uint64_t Pack(const Entry& entry) {
  return reinterpret_cast<uintptr_t>(entry.header) | (uint64_t{entry.owner} << kEntryOwnerShift);
}
Entry Unpack(uint64_t packed) {
  return {reinterpret_cast<Header*>(packed & kLinkMask),
          static_cast<Owner>(packed >> kEntryOwnerShift)};
}

// Entries that a revoker could not settle: their owner stands in the middle of an operation on that
// very object, so there is at most one per owner. Release when stored, acquire when taken.
constexpr uint32_t kLeftOverEntries = 2 * 4096;
std::atomic<uint64_t> g_left_over[kLeftOverEntries];
// How many there are: relaxed, a hint that spares scanning.
std::atomic<int64_t> g_left_over_count{0};

// Entries settled so far: relaxed, tells progress.
std::atomic<uint64_t> g_settled{0};

void LeaveOver(const Entry& entry) {
  g_left_over_count.fetch_add(1, std::memory_order_relaxed);
  uint32_t place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(entry.header) >> 4);
  for (;; ++place) {
    uint64_t expected = 0;
    if (g_left_over[place % kLeftOverEntries].compare_exchange_strong(
            expected, Pack(entry), std::memory_order_seq_cst, std::memory_order_relaxed)) {
      os::RingBell();
      return;
    }
  }
}

// Step 1. Sets entry.owner; kNobody if the owner gave the object up itself.
void MarkRevoking(Entry* entry) {
  uint32_t local = entry->header->Local(std::memory_order_relaxed);
  for (;;) {
    const Owner owner = OwnerOf(local);
    if (owner == kRevoking) return;  // by an earlier attempt at this entry
    entry->owner = owner;
    if (owner == kNobody) return;
    const uint32_t revoking = (kRevoking << kOwnerShift) | (local & kLocalCounts);
    // Acquire: what the owner did before its last count comes before what we may do now.
    if (entry->header->CompareExchangeLocal(&local, revoking)) return;
  }
}

// Step 4, in a bracket: an ext drop like any other, hence logged. Returns the object if its
// counts are zero: dead, or due for its finalizer.
Header* Merge(const Bracket& bracket, Header* header, uint32_t local) {
  if (REEF_UNLIKELY(bracket.armed())) LogIfWhite(bracket, header);
  const uint8_t colour = header->Colour();
  const uint64_t counts = LocalExtOf(local) * kSharedExt + LocalHeapOf(local) * kSharedHeap;
  uint64_t word = header->Shared(std::memory_order_acquire);
  for (;;) {
    uint64_t next = ((word + counts) | kMerged) & ~kQueued;
    if (!ExtIsFull(word)) next -= kSharedExt;
    const bool zero = SharedSum(next) == 0 && (word & (kImmortal | kSticky)) == 0;
    if (zero) next = EndOf(next);
    if (!header->CompareExchangeShared(&word, next)) continue;
    if (zero) {
      if ((next & kDead) != 0) header->SetStage(Stage::kDying);
      return header;
    }
    if (!IsLeafColour(colour)) Edge::CountSuspect(bracket.slot());
    return nullptr;
  }
}

// Whether the displaced owner stands in the middle of an operation on the object. Behind a failed
// claim (sole.h) that may be anyone.
bool IsBusy(Owner owner, const Header* header) {
  if (owner != kClaimed) {
    return threads::SlotOfOwner(owner)->busy.load(std::memory_order_acquire) == header;
  }
  bool busy = false;
  threads::ForEachSlot([&](const Slot& slot) {
    busy = busy || slot.busy.load(std::memory_order_acquire) == header;
  });
  return busy;
}

// True if an object that its owner gave up is merged, or nobody is left to merge it: its LocalZero
// was cut off by a fork. LocalZero announces itself: that the owner was given up says that the
// announcement is visible, and who finds it gone then finds MERGED, if there was somebody to set
// it.
bool HasMerged(const Header* header) {
  if ((header->Shared(std::memory_order_acquire) & kMerged) != 0) return true;
  return REEF_UNLIKELY(threads::AnyLost()) && !IsBusy(kClaimed, header);
}

// Steps 3 and 4. False if the entry must stay pending.
bool Settle(Slot* slot, Entry* entry) {
  Header* due = nullptr;
  Header* header = entry->header;
  if (entry->owner != kNobody) {
    const bool busy = IsBusy(entry->owner, header);
    REEF_CHAOS_POINT("busy read, local not yet");
    const uint32_t local = header->Local(std::memory_order_acquire);
    if (OwnerOf(local) == kRevoking) {
      if (busy) return false;
      const Bracket bracket(slot);
      due = Merge(bracket, header, local);
    } else {
      // The owner's operation was under way: it overwrote REVOKING, or gave the object up.
      return false;
    }
  } else {
    if (!HasMerged(header)) return false;
    // The owner has merged by itself: nothing to add, but QUEUED goes with the queued reference.
    const Bracket bracket(slot);
    due = Merge(bracket, header, 0);
  }
  if (due != nullptr) Die(slot, due);
  g_settled.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Revoke(Slot* slot, Entry* entries, int count) {
  if (count == 0) return;
  for (int i = 0; i < count; ++i) MarkRevoking(&entries[i]);
  REEF_CHAOS_POINT("revoking, before the membarrier");
  os::Membarrier();
  for (int i = 0; i < count; ++i) {
    if (!Settle(slot, &entries[i])) LeaveOver(entries[i]);
  }
}

int TakePending(Slot& from, Entry* entries) {
  int count = 0;
  for (auto& pending : from.pending) {
    if (pending.load(std::memory_order_relaxed) == 0) continue;
    // Acquire: the queueing thread's use of the object comes before our destroying it.
    const uint64_t packed = pending.exchange(0, std::memory_order_acq_rel);
    if (packed != 0) entries[count++] = Unpack(packed);
  }
  return count;
}

void RevokeFrom(Slot* slot, Slot& from) {
  if (slot == &from) slot->pending_count = 0;
  Entry entries[kPendingEntries];
  Revoke(slot, entries, TakePending(from, entries));
}

void RevokeLeftOver(Slot* slot) {
  if (g_left_over_count.load(std::memory_order_relaxed) == 0) return;
  // All of them with one membarrier: an owner that is stopped in the middle of a count leaves its
  // entry for as long as that lasts.
  Entry entries[kPendingEntries];
  int count = 0;
  for (auto& left_over : g_left_over) {
    if (left_over.load(std::memory_order_relaxed) == 0) continue;
    const Entry entry = Unpack(left_over.exchange(0, std::memory_order_acq_rel));
    if (entry.header == nullptr) continue;
    g_left_over_count.fetch_sub(1, std::memory_order_relaxed);
    entries[count++] = entry;
    if (count == kPendingEntries) Revoke(slot, entries, std::exchange(count, 0));
  }
  Revoke(slot, entries, count);
}

}  // namespace

Header* Pend(Slot* slot, Header* header) {
  const uint64_t packed = Pack({header, kNobody});
  for (;;) {
    auto& pending = slot->pending[slot->pending_hint++ % kPendingEntries];
    if (pending.load(std::memory_order_relaxed) != 0) continue;
    // Sequentially consistent exchange: the bell's contract.
    (void)pending.exchange(packed, std::memory_order_seq_cst);
    break;
  }
  os::RingBell();
  // Nobody else would do it, and here no thread may be started.
  const bool alone = os::IsCollectorAbsent();
  return ++slot->pending_count >= kRevokeAt || alone ? kRevocationDue : nullptr;
}

void RevokePending(Slot* slot, Slot& from) {
  os::StartAbsentCollector();
  const InHand in_hand(slot);
  RevokeFrom(slot, from);
}

uint64_t CountSettled() { return g_settled.load(std::memory_order_relaxed); }

bool RevokeAllPending(Slot* slot) {
  {
    const InHand in_hand(slot);
    threads::ForEachSlot([slot](Slot& from) { RevokeFrom(slot, from); });
    // What died by it may have held the last edge to another object of the same owner, and so on
    // along a list: some milliseconds' worth of it at a time.
    constexpr int kMostInARow = 4096;
    for (int i = 0; i < kMostInARow && slot->pending_count != 0; ++i) RevokeFrom(slot, *slot);
    RevokeLeftOver(slot);
  }
  // Not only what was left over: destructors of what died by it have dropped references, too.
  return CountPending() != 0;
}

uint64_t CountPending() { return CountUntried() + CountLeftOver(); }

uint64_t CountUntried() {
  uint64_t count = 0;
  threads::ForEachSlot([&count](const Slot& slot) {
    for (const auto& pending : slot.pending) {
      // Acquire: pairs with TakePending; see object::InHand.
      if (pending.load(std::memory_order_acquire) != 0) ++count;
    }
  });
  return count;
}

void RecountLeftOver() {
  if (g_left_over_count.load(std::memory_order_relaxed) == 0) return;
  int64_t count = 0;
  for (const auto& left_over : g_left_over) {
    if (left_over.load(std::memory_order_relaxed) != 0) ++count;
  }
  g_left_over_count.store(count, std::memory_order_relaxed);
}

uint64_t CountLeftOver() {
  const int64_t left_over = g_left_over_count.load(std::memory_order_relaxed);
  return left_over > 0 ? static_cast<uint64_t>(left_over) : 0;
}

}  // namespace reef::object
