// How long the collector thread rests while entries wait for a revocation and objects for a grace
// period.
//
// A millisecond, so that they gather, as long as there is progress. What is left may wait for a
// thread that is stopped in the middle of a count, or sleeps in a scope: then twice as long after
// each look that brought nothing, up to a tick. A new entry is tried within a millisecond all the
// same; newly retired objects wait behind those that wait already.
#ifndef REEF_LIB_COLLECTOR_REST_H_
#define REEF_LIB_COLLECTOR_REST_H_

#include <chrono>
#include <cstdint>

#include "lib/os/clock.h"

namespace reef::collector {

inline constexpr os::Nanoseconds kShortestNap = std::chrono::milliseconds(1);
inline constexpr os::Nanoseconds kLongestNap = std::chrono::milliseconds(50);

// Collector thread.
class Rest {
 public:
  // Rests, after a look at all that waits, until it is time for the next one, or there is a
  // request.
  void FromSmallWork(bool (*has_request)());
  // After such a look: whether another one, at once, may bring something. It may not if this one
  // brought nothing, and nothing has come that was not tried.
  bool MayGoOn(bool (*has_request)());
  // Nothing waits any more.
  void Reset() { nap_ = kShortestNap; }

 private:
  os::Nanoseconds nap_ = kShortestNap;
  uint64_t settled_ = 0;  // entries settled and batches reclaimed, before the last rest
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_REST_H_
