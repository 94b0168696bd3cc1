// Weak cells from the engine's side: what death does to them (reef/internal/weak_cell.h has the
// rest).
//
// On both paths of death the cell is cleared after DEAD was set and before the destructor begins,
// then the callbacks run. The block waits, FREE, with DEAD and WEAK still in its shared word, for a
// grace period that begins after the cell was cleared: a Lock that read the cell before may still
// look at the header. (Condemned objects need no further one: the rendezvous that ends a collection
// comes after their cells were cleared.)
#ifndef REEF_LIB_OBJECT_WEAK_H_
#define REEF_LIB_OBJECT_WEAK_H_

#include "reef/internal/header.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"
#include "reef/internal/weak_cell.h"

namespace reef::object {

using internal::Header;
using internal::Slot;
using internal::WeakCell;

// The object's number among those of its slab: its place in the slab's tables.
[[nodiscard]] size_t PlaceInSlab(const internal::Slab* slab, const Header* header);

// Clears the cell of a DEAD object and takes it out of the table; null if there is none (any more).
[[nodiscard]] WeakCell* DetachCell(Header* header);
// Whether the object, DEAD and in the caller's hands, has callbacks yet to be called.
[[nodiscard]] bool HasCallbacks(const Header* header);
// Runs the callbacks of a detached cell and lets it go. Outside brackets.
void EndCell(const internal::HeapCore* core, WeakCell* cell);
// Both, for a counted death.
void EndWeak(Header* header);

// The block of a destroyed object that had a cell, which waits for its grace period.
inline bool IsWaitingBlock(const Header* header) {
  constexpr uint64_t kBoth = internal::kDead | internal::kWeak;
  return header->GetStage() == internal::Stage::kFree &&
         (header->Shared(std::memory_order_acquire) & kBoth) == kBoth;
}

// lib/object/weak_callback.cc: calls what is due, newest first, and frees the records; `core` is
// the object's heap.
void RunRecords(const internal::HeapCore* core, internal::WeakRecord* records);
// Calls the function unless its handle has ended; frees the cell's share of the record. The object
// is `whole` where its destructor has yet to begin.
void RunRecord(internal::WeakRecord* record, bool whole);
// Collector: the record's callback does not start any more, as if its handle had ended.
void SilenceRecord(internal::WeakRecord* record);

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_WEAK_H_
