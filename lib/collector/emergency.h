// Emergency: what is done for an allocation that found no memory, and how often.
//
// An emergency collects the heap and returns its free memory. Near the limit each one may free next
// to nothing, and the program would spend its time in them. So an emergency that freed less than
// 1/64 of the heap is *futile*; after two futile ones in a row none is started for as long as the
// collector's share of a core (HeapOptions::collector_cpu_percent) makes of the time the last one
// took. Those that freed less than an eighth of it may take half of the time together, looked at
// over some ten seconds: a program that gets on by little steps would be no better off for more.
// Until then an allocation only gets what needs no marking: pending and retired objects, what drops
// have left over, and empty slabs.
#ifndef REEF_LIB_COLLECTOR_EMERGENCY_H_
#define REEF_LIB_COLLECTOR_EMERGENCY_H_

#include <cstdint>
#include <mutex>

#include "lib/os/clock.h"

namespace reef::collector {

struct CollectedHeap;

// Of one heap. Under its mutex.
struct Emergencies {
  std::mutex mutex;
  uint64_t collections = 0;
  uint64_t refusals = 0;
  int futile_in_row = 0;
  os::Nanoseconds last_end{};
  os::Nanoseconds refused_until{};
  // The time that lean ones may still take; none is started while it is not above zero.
  static constexpr os::Nanoseconds kAllowance = std::chrono::seconds(5);
  os::Nanoseconds allowance = kAllowance;
  os::Nanoseconds refilled{};
};

enum class Relief : uint8_t {
  kFreed,    // a collection freed a good part of the heap
  kFutile,   // a collection freed little
  kRefused,  // none was run
};

// Waits for an emergency of the heap, or for the part of it that is always allowed. Any thread for
// which MayWaitForMemory holds.
Relief Relieve(CollectedHeap* heap);

// Notes an emergency collection that began and ended then. Those that ran beside another one count
// once. Apart from Relieve for tests.
Relief NoteEmergency(Emergencies* emergencies, os::Nanoseconds start, os::Nanoseconds end,
                     uint64_t held, uint64_t freed, int cpu_percent);
// False, and counts a refusal, while none may be started.
bool MayStartEmergency(Emergencies* emergencies, os::Nanoseconds now);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_EMERGENCY_H_
