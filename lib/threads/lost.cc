#include "lib/threads/lost.h"

#include <atomic>
#include <bitset>

#include "lib/memory/thread_cache.h"
#include "lib/threads/slot_registry.h"

namespace reef::threads {
namespace {

// Relaxed: stored where there is one thread.
std::atomic<bool> g_any_lost{false};

using Numbers = std::bitset<kMaxSlots>;

void Close(std::atomic<uint64_t>& sequence) {
  const uint64_t seen = sequence.load(std::memory_order_relaxed);
  if ((seen & 1) != 0) sequence.store(seen + 1, std::memory_order_relaxed);
}

// Relaxed: there is one thread, and later ones are created by it. (Its log has been discarded.)
void Orphan(Slot* slot) {
  Close(slot->seq);
  Close(slot->scope);
  slot->busy.store(nullptr, std::memory_order_relaxed);
  slot->scope_depth = 0;
  slot->user_code = 0;
  slot->draining = false;
  slot->unasked = false;
  slot->claims_sole = false;
  slot->in_hand = 0;
  slot->in_hand_due = 0;
  slot->pending_count = 0;
  (void)slot->dying.TakeAll();
  memory::AbandonCaches(slot);
  slot->emptied = true;
  ReturnOrphan(slot);
}

}  // namespace

void OrphanLostSlots(const Slot* mine) {
  static constinit Numbers orphans;  // 8 KiB: not for the stack of whoever forks
  orphans.reset();
  ForEachOrphan([](const Slot& slot) { orphans.set(slot.index); });
  ForEachSlot([mine](Slot& slot) {
    if (&slot == mine || orphans.test(slot.index)) return;
    g_any_lost.store(true, std::memory_order_relaxed);
    Orphan(&slot);
  });
}

bool AnyLost() { return g_any_lost.load(std::memory_order_relaxed); }

}  // namespace reef::threads
