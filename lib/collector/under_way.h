// UnderWay: what a collection has begun and not brought to its end, kept with its heap.
//
// A fork may cut the collector thread off wherever user code runs, at a poll between two slabs, in
// a callback, destructor or finalizer. What the collection owes by then must be found by the
// child, so it lies here and not on that thread's stack:
//   marking      nothing is owed but the finalizers that were taken (they have their roots): the
//                child calls the collection aborted
//   condemning   the weak door is closed: a Lock may have said null to any white object, and null
//                is for ever. The child condemns the rest before its one thread goes on.
//   sweeping     what is condemned has its callbacks, edges and destructors still to come. The
//                child's collector thread does that first of all.
#ifndef REEF_LIB_COLLECTOR_UNDER_WAY_H_
#define REEF_LIB_COLLECTOR_UNDER_WAY_H_

#include <cstdint>

#include "reef/internal/header.h"
#include "reef/internal/weak_cell.h"

namespace reef::collector {

// Objects whose finalizers were taken, linked through their hidden words.
struct TakenFinalizers {
  internal::Header* first = nullptr;
  internal::Header* last = nullptr;
  uint64_t count = 0;
};

// The cells of condemned objects, in the order of their addresses.
struct ClearedCells {
  internal::WeakCell* first = nullptr;
  internal::WeakCell* last = nullptr;

  // Clears the cell of an object that was just condemned.
  void Add(internal::Header* header);
};

// Collector thread; changes outside fork's windows only (lib/os/fork.h).
struct UnderWay {
  enum class Reach : uint8_t { kNothing, kMarking, kCondemning, kSweeping };

  Reach reach = Reach::kNothing;
  uint8_t black = 0;
  ClearedCells cells;          // whose callbacks have not been begun
  TakenFinalizers finalizers;  // also those of a collection that was aborted
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_UNDER_WAY_H_
