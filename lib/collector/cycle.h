// Cycle: one collection of one heap, from arming to the last block freed.
//
//   arm       mode LOGGING, rendezvous (T0): everybody logs. Then newborn objects are black, mode
//             MARKING, rendezvous (T1). I5: nobody allocates black before everybody logs.
//   roots     after a grace period that began at T0: then no ReadScope is older than the barrier.
//             One that does not end in time makes all published objects roots.
//   mark      trace; then { rendezvous; take logs; trace } until a round brings nothing new; then
//             finalizers that are due are taken, and what they reach is marked likewise, and so is
//             what debugging keeps of the garbage (garbage.h); then, after such a round, the weak
//             door closes (lib/object/door.h), or else another round follows
//   condemn   the white objects are garbage: DEAD, weak cells cleared; mode IDLE, rendezvous, logs
//             discarded, door open
//   clear     weak callbacks run; then the garbage's edges are emptied
//   free      their destructors run, their blocks go back; then the finalizers run
//
// I6: every object reachable at T0 or at any time after is marked: a path lost after T0 was logged;
// a root held at T0 is seen by the scan, or logged when dropped, whichever word counted it. What
// was garbage when LOGGING was stored is condemned. (Model: tests/models/mark.pml.)
//
// A cycle is aborted when memory for a log, the mark stack or a list cannot be had: mode IDLE,
// rendezvous, logs discarded, nothing condemned; the next cycle's colour is another number, so that
// its half-painted heap does no harm. A fork may cut a cycle off; what the child then owes is kept
// in lib/collector/under_way.h.
#ifndef REEF_LIB_COLLECTOR_CYCLE_H_
#define REEF_LIB_COLLECTOR_CYCLE_H_

#include <memory>
#include <vector>

#include "lib/collector/collected_heap.h"
#include "lib/collector/marker.h"

namespace reef::collector {

class Cycle {
 public:
  // `poll` is called every millisecond or so while marking.
  Cycle(CollectedHeap* heap, Marker::Poll poll);

  // Runs on the collector thread. The report says if it was aborted.
  CollectionReport Run();
  // After Run: something was kept on a conservative reason, so what it kept may be garbage.
  bool conservative() const { return conservative_; }
  // After Run: a ReadScope that was open when the collection began is open still. What was kept for
  // its sake would be kept by another collection, too.
  bool WaitsForScope() const;

 private:
  // False, and nothing done, if there is no memory.
  bool Arm();
  bool MakeMarkers();
  void ScanTheRoots();
  void Mark();
  bool TakeLogs();
  void MarkToEmpty();
  void Condemn();
  void Disarm();
  bool Failed() const;
  void StartPhase(Phase phase);

  CollectedHeap* const heap_;
  const Marker::Poll poll_;
  uint8_t black_ = 0;
  bool conservative_ = false;
  bool published_too_ = false;  // all published objects were roots, for a scope's sake
  bool no_room_ = false;        // for the list of kept garbage
  uint64_t revivals_ = 0;       // taken from the logs, and not yet let out of the weak door
  std::vector<std::unique_ptr<Marker>> markers_;
  CollectionReport report_;
  Phase phase_ = Phase::kArm;
  Nanoseconds phase_start_{};
  threads::GraceTicket scopes_ticket_ = 0;
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_CYCLE_H_
