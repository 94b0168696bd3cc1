#include "reef/internal/atomic_cell.h"

#include "lib/os/chaos.h"
#include "reef/internal/check.h"

namespace reef::internal {

WeakCell* AtomicCell::Pin() const noexcept {
  uint64_t seen = word_.load(std::memory_order_acquire);
  while (CellIn(seen) != nullptr) {
    REEF_DCHECK((seen & kPins) != kPins, "more pins in an AtomicWeak than there can be threads",
                "this is a bug in Reef");
    // Acquire: the cell is constructed, and its object LIVE, before it was stored.
    if (word_.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                    std::memory_order_acquire)) {
      REEF_CHAOS_POINT("weak cell pinned");
      return CellIn(seen);
    }
  }
  return nullptr;
}

void AtomicCell::Unpin(WeakCell* cell) const noexcept {
  // Acquire: who has replaced the word has counted its pins as handles before.
  uint64_t seen = word_.load(std::memory_order_acquire);
  while (CellIn(seen) == cell && (seen & kPins) != 0) {
    // Release: our use of the cell comes before its end, by whoever takes the word's handle.
    if (word_.compare_exchange_weak(seen, seen - 1, std::memory_order_release,
                                    std::memory_order_acquire)) {
      return;
    }
  }
  REEF_CHAOS_POINT("pin has become a handle");
  ReleaseCell(cell);
}

bool AtomicCell::Replace(WeakCell* cell, const WeakCell* desired) noexcept {
  uint64_t seen = word_.load(std::memory_order_acquire);
  while (CellIn(seen) == cell) {
    const auto pins = static_cast<uint32_t>(seen & kPins);
    // Before the exchange, whose release orders it: a reader that finds the word changed gives back
    // a handle at once. The caller keeps the cell alive.
    if (pins != 0) cell->AddOwners(pins);
    REEF_CHAOS_POINT("pins counted as handles, word not exchanged");
    if (word_.compare_exchange_strong(seen, WordOf(desired), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      return true;
    }
    // Never the last: the caller's own is among those that stay.
    if (pins != 0) (void)cell->DropOwners(pins);
  }
  return false;
}

WeakCell* AtomicCell::Load() const noexcept {
  WeakCell* cell = Pin();
  if (cell == nullptr) return nullptr;
  ShareCell(cell);
  Unpin(cell);
  return cell;
}

void* AtomicCell::Lock() const noexcept {
  WeakCell* cell = Pin();
  if (cell == nullptr) return nullptr;
  void* payload = LockCell(cell);
  Unpin(cell);
  return payload;
}

WeakCell* AtomicCell::Exchange(WeakCell* desired) noexcept {
  for (;;) {
    WeakCell* cell = Pin();
    if (Replace(cell, desired)) {
      // Our pin was in the word, or in an earlier one that led to the cell: it is a handle by now.
      if (cell != nullptr) ReleaseCell(cell);
      return cell;
    }
    if (cell != nullptr) Unpin(cell);
  }
}

bool AtomicCell::CompareExchange(WeakCell* expected, WeakCell* desired) noexcept {
  if (!Replace(expected, desired)) return false;
  // The word's handle. The caller's own keeps the cell.
  if (expected != nullptr) ReleaseCell(expected);
  return true;
}

}  // namespace reef::internal
