// Hazards: the marker against the destroyer. No destructor starts while a marker traces the object.
//
// A marker publishes the addresses it is about to trace, the last one by an exchange, which is also
// the fence; then it looks at each stage and traces only what is LIVE or DYING. Whoever begins a
// destructor of a traced object does, in one bracket: read the mode; store DESTROYING; if a
// collection is armed: fence (the exchange of the stage), look into the published batches; found:
// hand the object over to the collector instead. One of the two sees the other (Dekker); neither
// waits. The mode must be read in that bracket and not earlier, or a collection that armed in
// between is missed. (I8; model: tests/models/hazard.pml. Follows hazard pointers, Michael 2004.)
//
// Handed-over objects wait, linked through `shared`, until the collector has cleared the batch that
// held them; the last look comes after a rendezvous, when nobody can be in the middle of handing
// over.
#ifndef REEF_LIB_THREADS_HAZARD_H_
#define REEF_LIB_THREADS_HAZARD_H_

#include <atomic>
#include <cstdint>

#include "reef/internal/header.h"

namespace reef::threads {

using internal::Header;

inline constexpr int kHazardBatch = 32;
inline constexpr int kMaxMarkers = 16;

class HazardBatch {
 public:
  // Marker: publishes `count` objects (at most kHazardBatch); a full fence.
  void Publish(Header* const* objects, int count);
  // Marker: done with them. Release: the traces come before the destructor that sees them gone.
  void Clear();
  // The same for a marker that is not there any more, wherever it stopped.
  void Forget();
  // Destroyer, after its fence. Sequentially consistent loads: the other half of Publish.
  bool Holds(const Header* object) const;

 private:
  std::atomic<Header*> objects_[kHazardBatch] = {};
  int published_ = 0;  // marker only
};

// The child of a fork: no marker is left.
void ForgetHazards();

HazardBatch& HazardsOf(int marker);
// How many batches are in use: set by the collector before it arms; its rendezvous publishes it.
void SetMarkers(int count);

bool IsHazardous(const Header* object);

// Destroyer, inside its bracket.
void HandOver(Header* object);
// Collector: all objects handed over, linked through Header::Link.
Header* TakeHandedOver();
bool AnyHandedOver();

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_HAZARD_H_
