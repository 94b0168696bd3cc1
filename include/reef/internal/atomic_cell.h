// The word of an AtomicWeak: a handle on a weak cell that many threads replace.
//
// The word holds the cell's address and the number of its *pins*. Each non-empty word owns one
// handle of its cell. A reader pins the cell by raising the number, which needs no access to the
// cell; then the cell lives, and the reader may count a handle of its own. Who replaces the word
// turns the pins it carries into handles, before the exchange that takes the word away, so that at
// no moment is a pin counted nowhere. A reader that finds its pin no longer in the word gives back
// a handle instead. Pins of one cell are interchangeable: which of two readers lowers the number
// and which gives back a handle makes no difference, also if the cell has left the word and come
// back meanwhile. (Model: tests/models/atomic_weak.pml.)
#ifndef REEF_INTERNAL_ATOMIC_CELL_H_
#define REEF_INTERNAL_ATOMIC_CELL_H_

#include <atomic>
#include <cstdint>

#include "reef/internal/weak_cell.h"

namespace reef::internal {

class AtomicCell {
 public:
  constexpr AtomicCell() noexcept = default;
  // Takes over the caller's handle.
  explicit AtomicCell(WeakCell* cell) noexcept : word_(WordOf(cell)) {}
  ~AtomicCell() {
    // Relaxed: whoever ends the word has it to himself.
    if (WeakCell* cell = CellIn(word_.load(std::memory_order_relaxed))) ReleaseCell(cell);
  }
  AtomicCell(const AtomicCell&) = delete;
  AtomicCell& operator=(const AtomicCell&) = delete;

  // The present cell with a handle for the caller, or null.
  [[nodiscard]] WeakCell* Load() const noexcept;
  // A root to its object, or null.
  [[nodiscard]] void* Lock() const noexcept;
  // Takes over the caller's handle on `desired` (or null), and returns the former cell with the
  // word's handle.
  [[nodiscard]] WeakCell* Exchange(WeakCell* desired) noexcept;
  // Replaces `expected`, on which the caller has a handle, or null. True: the handle on `desired`
  // was taken over.
  bool CompareExchange(WeakCell* expected, WeakCell* desired) noexcept;

 private:
  // Cells are raw blocks: multiples of 16 below 2^48. Twenty bits for pins are more than there can
  // be threads.
  static constexpr int kShift = 16;
  static constexpr uint64_t kPins = (uint64_t{1} << (kShift + 4)) - 1;

  static uint64_t WordOf(const WeakCell* cell) noexcept {
    return reinterpret_cast<uint64_t>(cell) << kShift;
  }
  static WeakCell* CellIn(uint64_t word) noexcept {
    return reinterpret_cast<WeakCell*>((word & ~kPins) >> kShift);
  }

  // The present cell, pinned, or null.
  WeakCell* Pin() const noexcept;
  void Unpin(WeakCell* cell) const noexcept;
  // Puts `desired` in the place of `cell`, which the caller keeps alive, or null. False if the word
  // leads elsewhere. If true, the word's handle on `cell` is now the caller's.
  bool Replace(WeakCell* cell, const WeakCell* desired) noexcept;

  // Release by who stores a cell and by who unpins one, acquire by all others: each of them goes on
  // to read the cell, or to count in it. All changes are read-modify-writes, so that a release is
  // seen through every later one.
  mutable std::atomic<uint64_t> word_{0};
};

}  // namespace reef::internal

#endif  // REEF_INTERNAL_ATOMIC_CELL_H_
