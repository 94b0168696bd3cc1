// Weak callbacks: records on a cell's list, and what becomes of them (reef/internal/weak_cell.h).
//
// Records stay on the list until the object dies, because a death that takes the list must not meet
// a record that has gone. One whose handle has ended is used again by the next handle of the cell,
// so a list is as long as there were handles at once. So its order is that of the numbers only
// where no record was used twice, and the dying thread sorts it.
#include <atomic>
#include <utility>

#include "lib/object/finalizer.h"
#include "lib/object/weak.h"
#include "lib/os/chaos.h"
#include "lib/os/fault.h"
#include "reef/internal/poison.h"
#include "reef/internal/type_info.h"

namespace reef::object {
namespace {

using internal::WeakRecord;

void ReleaseRecord(WeakRecord* record) {
  // As ReleaseCell.
  if (record->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete record;
}

bool Turn(WeakRecord* record, WeakRecord::State from, WeakRecord::State to) {
  uint32_t expected = from;
  return record->state.compare_exchange_strong(expected, to, std::memory_order_acquire,
                                               std::memory_order_relaxed);
}

// A record of the cell whose handle has ended, now busy; null if there is none.
WeakRecord* TakeUnused(WeakCell* cell) {
  if (cell->unused.load(std::memory_order_relaxed) == 0) return nullptr;
  WeakRecord* record = cell->records.load(std::memory_order_acquire);
  for (; record != nullptr; record = record->next) {
    if (record->state.load(std::memory_order_relaxed) != WeakRecord::kUnused ||
        !Turn(record, WeakRecord::kUnused, WeakRecord::kBusy)) {
      continue;
    }
    cell->unused.fetch_sub(1, std::memory_order_relaxed);
    return record;
  }
  return nullptr;
}

uint64_t NextNumber() {
  // Relaxed: the numbers of one cell are ordered by the program's own order of its handles.
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

WeakRecord* MergeSorted(WeakRecord* one, WeakRecord* other) {
  WeakRecord* first = nullptr;
  WeakRecord** end = &first;
  while (one != nullptr && other != nullptr) {
    WeakRecord*& newer = one->number > other->number ? one : other;
    *end = newer;
    end = &newer->next;
    newer = newer->next;
  }
  *end = one != nullptr ? one : other;
  return first;
}

// Newest first. A merge sort by runs of doubling length: allocates nothing, recurses nowhere.
WeakRecord* Sorted(WeakRecord* records) {
  constexpr int kLengths = 48;
  WeakRecord* sorted[kLengths] = {};  // at place n: nothing, or 2^n records
  while (records != nullptr) {
    WeakRecord* run = std::exchange(records, records->next);
    run->next = nullptr;
    int length = 0;
    for (; sorted[length] != nullptr; ++length) {
      run = MergeSorted(std::exchange(sorted[length], nullptr), run);
    }
    sorted[length] = run;
  }
  WeakRecord* all = nullptr;
  for (WeakRecord* run : sorted) all = MergeSorted(run, all);
  return all;
}

}  // namespace

void RunRecords(const internal::HeapCore* core, WeakRecord* records) {
  records = Sorted(records);
  while (records != nullptr) {
    WeakRecord* record = std::exchange(records, records->next);
    DispatchRecord(core, record);
  }
}

void SilenceRecord(WeakRecord* record) {
  // Its captures stay: their destructors are the program's, and go with the handle's own.
  (void)Turn(record, WeakRecord::kArmed, WeakRecord::kCalled);
}

void RunRecord(WeakRecord* record, bool whole) {
  REEF_CHAOS_POINT("weak callback due, not yet called");
  if (Turn(record, WeakRecord::kArmed, WeakRecord::kCalled)) {
    const Call call{
        .phase = record->phase, .type = record->type, .object = whole ? record->object : nullptr};
    if (record->call) CallUser(call, [record] { record->call(); });
    // Its captures go now, not with a handle that may live for long. Nobody else touches a record
    // that was called.
    record->call = nullptr;
  }
  ReleaseRecord(record);
}

}  // namespace reef::object

namespace reef::internal {

WeakRecord* AddRecord(WeakCell* cell, const char* phase, std::function<void()> call) {
  WeakRecord* record = object::TakeUnused(cell);
  const bool is_new = record == nullptr;
  if (is_new) {
    os::ThrowIfFaultDue();
    record = new WeakRecord;
    ExpectNoLeak(record);
    // Relaxed: the caller refers to the object, so nobody clears it.
    Header* header = cell->target.load(std::memory_order_relaxed);
    record->type = TypeInfoOf(header);
    record->object = header->Payload();
  } else {
    record->owners.fetch_add(1, std::memory_order_relaxed);  // the list's own keeps it
  }
  record->phase = phase;
  record->call = std::move(call);
  record->number = object::NextNumber();
  record->cell = cell;
  record->state.store(WeakRecord::kArmed, std::memory_order_release);
  if (!is_new) return record;
  record->next = cell->records.load(std::memory_order_relaxed);
  while (!cell->records.compare_exchange_weak(record->next, record, std::memory_order_release,
                                              std::memory_order_relaxed)) {
  }
  return record;
}

void CancelRecord(WeakRecord* record) {
  WeakCell* cell = record->cell;
  if (object::Turn(record, WeakRecord::kArmed, WeakRecord::kBusy)) {
    record->call = nullptr;
    record->handle.store(nullptr, std::memory_order_relaxed);
    // The count first: it may read too high, which costs a search, and never below zero.
    cell->unused.fetch_add(1, std::memory_order_relaxed);
    record->state.store(WeakRecord::kUnused, std::memory_order_release);
  }
  object::ReleaseRecord(record);
  ReleaseCell(cell);
}

}  // namespace reef::internal
