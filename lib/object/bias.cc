#include "lib/object/bias.h"

#include "lib/os/chaos.h"
#include "reef/internal/count.h"
#include "reef/internal/make.h"

namespace reef::internal {
namespace {

constexpr uint32_t kWindow = 1024;

// Relaxed throughout, and updates may be lost: the figures only steer where counts are kept, which
// is correct either way.
void Decide(TypeInfo* type) {
  const uint32_t home = type->home_deaths.load(std::memory_order_relaxed);
  const uint32_t away = type->away_deaths.load(std::memory_order_relaxed);
  if (home + away < kWindow) return;
  const uint64_t birth = type->birth.load(std::memory_order_relaxed);
  const bool unbiased = (birth & kBornUnbiased) != 0;
  const bool travels = unbiased ? away > (home + away) / 16 : away > (home + away) / 4;
  if (travels != unbiased) {
    // Release: as at registration, who reads the index finds the table's entry.
    type->birth.store(birth ^ kBornUnbiased, std::memory_order_release);
  }
  type->home_deaths.store(0, std::memory_order_relaxed);
  type->away_deaths.store(0, std::memory_order_relaxed);
}

}  // namespace

void SampleHomeDeath(TypeInfo* type, uint32_t weight) {
  type->home_deaths.store(type->home_deaths.load(std::memory_order_relaxed) + weight,
                          std::memory_order_relaxed);
  Decide(type);
}

void CountAwayDeath(Header* header) {
  TypeInfo* type = TypeInfoOf(header);
  type->away_deaths.store(type->away_deaths.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
  Decide(type);
}

void BearSlow(Slot* slot, HeapCore* core, Header* header, TypeInfo* type) {
  uint64_t word0 = type->birth.load(std::memory_order_acquire);
  if ((word0 >> kTypeShift & 0xffff) == 0) word0 = RegisterType(type);
  const bool travels = (word0 & kBornUnbiased) != 0;
  word0 &= ~kBornUnbiased;
  const uint64_t initial = type->finalize != nullptr ? kSharedInit | kFinalizable : kSharedInit;
  uint64_t shared = (initial | kMerged) + kSharedExt;
  const bool probe = travels && (++slot->probe & (kHomeSample - 1)) == 0;
  if (slot->IsBiased() && (!travels || probe)) {
    word0 |= slot->birth;
    shared = initial;
  }
  // The birth bracket, as in BearHeader.
  const Bracket bracket(slot);
  if (type->traced) word0 |= core->birth.load(std::memory_order_acquire);
  header->Bear(word0, shared);
}

void ShareUnique(Header* header) {
  Slot* slot = CurrentSlot();
  const BusyScope busy(slot, header);
  const uint64_t word = header->Shared(std::memory_order_relaxed);
  if (header->Local(std::memory_order_relaxed) != (slot->me() | kLocalExt) ||
      (word & ~kFinalizable) != kSharedInit) {
    return;
  }
  // Shared first, then local with release: a root scan that reads local as given up also sees the
  // root in shared.
  header->SetShared((word | kMerged) + kSharedExt);
  REEF_CHAOS_POINT("shared taken over, local not given up");
  header->SetLocal(0);
}

void AdoptUnique(Header* header) {
  Slot* slot = CurrentSlot();
  if (!slot->IsBiased()) return;
  // Counts move from shared to local here, against the direction the root scan relies on: only in a
  // bracket that itself finds no collection armed.
  const Bracket bracket(slot);
  if (bracket.armed()) return;
  const BusyScope busy(slot, header);
  // The whole word: no other reference, nobody's pending entry, neither weak nor published. And the
  // caller's is a Ref&&, which no other thread can be copying.
  const uint64_t word = header->Shared(std::memory_order_acquire);
  if ((word & ~kFinalizable) != (kSharedInit | kMerged) + kSharedExt) return;
  REEF_CHAOS_POINT("unique by its look, not adopted");
  header->SetShared(kSharedInit | (word & kFinalizable));
  REEF_CHAOS_POINT("shared given up, local not taken over");
  header->SetLocal(slot->me() | kLocalExt);
}

int64_t CountReferences(const Header* header) {
  const uint32_t local = header->Local(std::memory_order_acquire);
  const uint64_t word = header->Shared(std::memory_order_acquire);
  int64_t count = SharedSum(word);
  if ((word & kMerged) == 0) count += LocalExtOf(local) + LocalHeapOf(local);
  if ((word & kQueued) != 0) --count;  // already dropped; kept only until the bias is revoked
  return count;
}

size_t BlockBytes(const Header* header) { return SlabOf(header)->block_bytes; }

void Immortalize(Header* header) { (void)header->SetFlags(kImmortal); }

}  // namespace reef::internal
