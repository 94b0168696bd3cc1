// Weak cells: what weak handles point to in place of the object.
//
// An object has one cell, made with its first weak handle, which says where the object is as long
// as it may be locked. Handles count the cell, and so does the object, so that the cell outlives
// both; the object's own block is not kept by it. Found by the object's place in its slab
// (Slab::weak_cells). Cells and tables are no part of the object's heap: cells are raw blocks of
// the default heap, which is never destroyed, so that a handle may outlive its heap.
//
// I9  Lock() that returned null never turns non-null again, and no Lock returns an object whose
//     destructor has begun. Lock reads the cell and counts up in one bracket; the block of an
//     object with a cell is reused only after a grace period that begins when the cell has been
//     cleared. So the header that Lock finds is the object's, and says DEAD once it is too late.
#ifndef REEF_INTERNAL_WEAK_CELL_H_
#define REEF_INTERNAL_WEAK_CELL_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/make.h"
#include "reef/internal/size_class.h"
#include "reef/internal/slot.h"

namespace reef::internal {

struct TypeInfo;
struct WeakRecord;

struct WeakCell {
  explicit WeakCell(Header* header) : target(header) {}

  // Null from before the object's destructor on. (A Lock may fail earlier: DEAD, or the closed
  // door, decides.) Release when cleared, acquire by Lock.
  std::atomic<Header*> target;
  // Handles, and one for the object. Release when dropped, acquire by who drops the last; relaxed
  // when added by who keeps the cell alive and passes the new handles on himself. A full count is
  // never lowered, and beyond kMost not raised: such a cell stays for ever. (The distance is more
  // than all threads could drop between their look and their step.)
  std::atomic<uint32_t> owners{2};
  static constexpr uint32_t kFull = uint32_t{1} << 31;
  static constexpr uint32_t kMost = kFull + kFull / 2;
  void AddOwners(uint32_t count) {
    if (owners.load(std::memory_order_relaxed) < kMost) {
      owners.fetch_add(count, std::memory_order_relaxed);
    }
  }
  // True if these were the last.
  bool DropOwners(uint32_t count) {
    return owners.load(std::memory_order_relaxed) < kFull &&
           owners.fetch_sub(count, std::memory_order_acq_rel) == count;
  }
  // Records of callbacks that could be used again (a hint, relaxed).
  std::atomic<uint32_t> unused{0};
  // The object's callbacks, newest first but for those that use an old record again. Release by who
  // adds one, acquire by who takes them all, at the object's death.
  std::atomic<WeakRecord*> records{nullptr};
  // Of the collector's list of cells whose callbacks are due.
  WeakCell* next = nullptr;
};
// An AtomicWeak's word needs the low bits of its address (reef/internal/atomic_cell.h).
static_assert(sizeof(WeakCell) % 16 == 0, "raw blocks of this size are not all multiples of 16");

// The cell of an object, with one more handle counted; or, if there is none yet, false. Null for an
// object that is dead: a handle made by its own destructor is empty.
bool FindCell(Header* header, WeakCell** cell);
// The same after making one in `room`, a raw block of the default heap, unless another thread was
// faster. Null, and `room` freed, when there is no memory for the table.
WeakCell* InstallCell(Header* header, void* room);
void ReleaseCell(WeakCell* cell);
// A root to the object, or null, for ever.
[[nodiscard]] void* LockCell(WeakCell* cell);
// How many weak handles there are to the object.
uint32_t CountHandles(const Header* header);
// How many of them have a callback that has not been called. The caller refers to the object: so
// nobody takes its records.
uint32_t CountCallbacks(const Header* header);

inline void ShareCell(WeakCell* cell) { cell->AddOwners(1); }

// The cell of the managed object `payload`, which somebody refers to. Throws OutOfMemory.
inline WeakCell* AcquireCell(const void* payload) {
  Header* header = Header::Of(payload);
  WeakCell* cell = nullptr;
  if (FindCell(header, &cell)) return cell;
  constexpr int kClass = ClassFor(SlabKind::kRaw, sizeof(WeakCell), alignof(WeakCell));
  Slot* slot = tls_slot;
  void* room = AllocateBlock(slot, &g_default_core, kDefaultHeapIndex, SlabKind::kRaw, kClass);
  if (room != nullptr) cell = InstallCell(header, room);
  if (cell == nullptr) ThrowOutOfMemory(&g_default_core, sizeof(WeakCell));
  return cell;
}

// --- callbacks, lib/object/weak_callback.cc ---

// One callback and the handle that wants it. Owned twice: by the handle, and by the cell's list
// until the object has died.
//
//   kArmed --the call starts--> kCalled
//   kArmed --its handle ends--> kBusy --> kUnused --another handle of the cell--> kBusy --> kArmed
//
// Each step but the stores out of kBusy is one exchange, so a callback runs once at most, and none
// starts after its handle has ended.
struct WeakRecord {
  enum State : uint32_t { kArmed, kCalled, kBusy, kUnused };

  // Release out of kBusy: `call` is written, or gone. Acquire into kCalled and kBusy.
  std::atomic<uint32_t> state{kArmed};
  // As WeakCell::owners.
  std::atomic<uint32_t> owners{2};
  // Where the handle lies; relaxed, the collector asks whether that is in garbage.
  std::atomic<const void*> handle{nullptr};
  uint64_t number = 0;         // later records have higher ones; written while busy
  WeakRecord* next = nullptr;  // constant while in a cell's list
  WeakCell* cell = nullptr;    // a handle on it, the record's while it is armed or called
  // Constant: the object, and what Unraisable says of it.
  const void* object = nullptr;
  const TypeInfo* type = nullptr;
  const char* phase = nullptr;  // as `call`
  std::function<void()> call;
};

// A record on the cell, whose handle it takes over; `phase` is Unraisable's. The caller refers to
// the object. May throw std::bad_alloc: then nothing has happened.
WeakRecord* AddRecord(WeakCell* cell, const char* phase, std::function<void()> call);
// The handle ends: its callback does not start any more.
void CancelRecord(WeakRecord* record);

}  // namespace reef::internal

#endif  // REEF_INTERNAL_WEAK_CELL_H_
