#include "lib/object/weak.h"

#include <atomic>
#include <new>

#include "lib/object/door.h"
#include "lib/object/upgrade.h"
#include "lib/os/chaos.h"
#include "lib/os/fault.h"
#include "reef/internal/poison.h"
#include "reef/internal/slab.h"

namespace reef::object {
namespace {

using internal::Bracket;
using internal::HeapCore;
using internal::Slab;
using internal::WeakRecord;
using internal::WeakTable;

// The object's place in its slab's table; null if the slab has none.
WeakTable* PlaceIn(const Header* header) {
  const Slab* slab = internal::SlabOf(header);
  WeakTable* table = slab->weak_cells.load(std::memory_order_acquire);
  return table == nullptr ? nullptr : table + PlaceInSlab(slab, header);
}

// The cell of an object that is WEAK, and not dead: so there is one.
WeakCell* CellOf(const Header* header) {
  const Slab* slab = internal::SlabOf(header);
  WeakTable* table = slab->weak_cells.load(std::memory_order_acquire);
  return table[PlaceInSlab(slab, header)].load(std::memory_order_acquire);
}

// The object's place, after making the table; null when there is no memory for it.
WeakTable* MakePlace(const Header* header) {
  Slab* slab = internal::SlabOf(header);
  WeakTable* table = slab->weak_cells.load(std::memory_order_acquire);
  if (table == nullptr) {
    auto* fresh = os::IsFaultDue() ? nullptr : new (std::nothrow) WeakTable[slab->capacity]{};
    if (fresh == nullptr) return nullptr;
    internal::ExpectNoLeak(fresh);
    if (slab->weak_cells.compare_exchange_strong(table, fresh, std::memory_order_acq_rel,
                                                 std::memory_order_acquire)) {
      table = fresh;
    } else {
      delete[] fresh;
    }
  }
  return table + PlaceInSlab(slab, header);
}

uint32_t CountArmed(const WeakCell* cell) {
  uint32_t count = 0;
  // Acquire: the records are written. Relaxed: a state is only counted.
  const WeakRecord* record = cell->records.load(std::memory_order_acquire);
  for (; record != nullptr; record = record->next) {
    if (record->state.load(std::memory_order_relaxed) == WeakRecord::kArmed) ++count;
  }
  return count;
}

void FreeCell(void* cell) {
  Slot* slot = internal::CurrentSlot();
  internal::FreeBlock</*kManaged=*/false>(slot, slot->slab_owner, cell);
}

// Counts up a white object while a collection is armed; see door.h. False: null, for ever.
bool Revive(const Bracket& bracket, Header* header) {
  if (!EnterDoor()) {
    REEF_CHAOS_POINT("weak door found closed");
    // Marked in between: alive, and black. Still white: it is to be condemned.
    return !internal::IsWhite(header) && TryIncrementExt(bracket.slot(), header);
  }
  REEF_CHAOS_POINT("inside the weak door");
  if (!TryIncrementExt(bracket.slot(), header)) {
    LeaveDoor(1);
    return false;
  }
  internal::LogRevival(bracket, header);
  return true;
}

}  // namespace

size_t PlaceInSlab(const Slab* slab, const Header* header) {
  if (slab->run_slabs != 0) return 0;
  const char* first = internal::SlabBase(slab) + slab->first;
  return static_cast<size_t>(reinterpret_cast<const char*>(header) - first) / slab->block_bytes;
}

bool HasCallbacks(const Header* header) {
  const WeakTable* place = PlaceIn(header);
  const WeakCell* cell = place == nullptr ? nullptr : place->load(std::memory_order_acquire);
  return cell != nullptr && CountArmed(cell) != 0;
}

WeakCell* DetachCell(Header* header) {
  WeakTable* place = PlaceIn(header);
  if (place == nullptr) return nullptr;
  // The destroyer alone comes here. Acquire: the cell is constructed.
  WeakCell* cell = place->exchange(nullptr, std::memory_order_acquire);
  if (cell != nullptr) cell->target.store(nullptr, std::memory_order_release);
  return cell;
}

void EndCell(const HeapCore* core, WeakCell* cell) {
  // Acquire: the records are written. Nobody adds one any more: that takes a reference.
  RunRecords(core, cell->records.exchange(nullptr, std::memory_order_acquire));
  internal::ReleaseCell(cell);
}

void EndWeak(Header* header) {
  WeakCell* cell = DetachCell(header);
  if (cell != nullptr) EndCell(internal::SegmentOf(header)->core, cell);
}

}  // namespace reef::object

namespace reef::internal {

bool FindCell(Header* header, WeakCell** cell) {
  const uint64_t word = header->Shared(std::memory_order_acquire);
  if ((word & kDead) != 0) return true;  // by its own destructor
  if ((word & kWeak) == 0) return false;
  // The caller's reference keeps the object, and so the cell's own count of it.
  *cell = object::CellOf(header);
  ShareCell(*cell);
  return true;
}

WeakCell* InstallCell(Header* header, void* room) {
  object::WeakTable* place = object::MakePlace(header);
  if (place == nullptr) {
    object::FreeCell(room);
    return nullptr;
  }
  WeakCell* cell = ::new (room) WeakCell(header);
  WeakCell* other = nullptr;
  // Release: the cell is constructed. Acquire: so is the other one.
  if (!place->compare_exchange_strong(other, cell, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
    object::FreeCell(room);
    cell = other;
    ShareCell(cell);
  }
  // Before the handle is passed on, hence before anybody locks it.
  (void)header->SetFlags(kWeak);
  return cell;
}

void ReleaseCell(WeakCell* cell) {
  // Release: this handle's uses come before the cell's next life. Acquire: so do all others'.
  if (cell->DropOwners(1)) object::FreeCell(cell);
}

void* LockCell(WeakCell* cell) {
  Slot* slot = CurrentSlot();
  const Bracket bracket(slot);
  // Acquire: if it was cleared, so is whatever came before that; otherwise the object was LIVE when
  // the handle was made, and whoever passed the handle on has ordered that.
  Header* header = cell->target.load(std::memory_order_acquire);
  if (header == nullptr) return nullptr;
  REEF_CHAOS_POINT("weak cell read, not yet counted");
  const bool alive = REEF_UNLIKELY(bracket.armed()) && IsWhite(header)
                         ? object::Revive(bracket, header)
                         : object::TryIncrementExt(slot, header);
  return alive ? header->Payload() : nullptr;
}

namespace {

// In its own destructor an object has none any more; DEAD comes before the cell goes.
bool HasCell(const Header* header) {
  return (header->Shared(std::memory_order_acquire) & (kWeak | kDead)) == kWeak;
}

}  // namespace

uint32_t CountHandles(const Header* header) {
  if (!HasCell(header)) return 0;
  // Relaxed: a number, on which nobody reads anything else.
  return object::CellOf(header)->owners.load(std::memory_order_relaxed) - 1;
}

uint32_t CountCallbacks(const Header* header) {
  if (!HasCell(header)) return 0;
  return object::CountArmed(object::CellOf(header));
}

}  // namespace reef::internal
