// The gate: lets the program say when the collector's thread may run ("driven").
//
// For processes without a core to spare. The thread stays the place where collections, and the
// destructors of garbage, run; but once driven it runs only while somebody waits for it: Drive, for
// as long as its budget lasts, or whoever cannot go on without it (GateHolder). It stops where it
// looks at the clock: between two pieces of work, between the batches of marking, between the slabs
// of a root scan and of freeing. There it is outside brackets and publishes no hazards, so that
// nobody notices but the collection, which takes longer.
//
// One mutex. Not taken by the collector's thread unless driven, never by fast paths.
#ifndef REEF_LIB_COLLECTOR_GATE_H_
#define REEF_LIB_COLLECTOR_GATE_H_

#include <mutex>

#include "lib/os/clock.h"

namespace reef::collector {

using os::Nanoseconds;

// Any thread. Switched off, the thread goes on by itself.
void SetDriven(bool driven);
// Switched off for good: the process ends, and the thread is to come to rest.
void StopDriving();
bool IsDriven();
// REEF_COLLECTOR_THREAD=0: driven from the start.
void SetDrivenAsTheEnvironmentSays();

// Lets the collector's thread run until there is nothing left that it can do now or `budget` is
// over, and waits for it. True if it was cut off. Calls on several threads take turns. Not driven:
// does nothing. Not on the collector's own thread.
bool Drive(Nanoseconds budget);

// While one lives the gate is open: its thread waits for the collector's.
class GateHolder {
 public:
  GateHolder();
  ~GateHolder();
  GateHolder(const GateHolder&) = delete;
  GateHolder& operator=(const GateHolder&) = delete;
};

// There is no collector's thread: nobody answers Drive.
void ForgetDriver();

// For fork, which holds the mutex meanwhile. The child: nobody waits but, perhaps, its one thread,
// which then ends where it forked (lib/os/fork.h).
std::mutex& GateMutex();
void ForgetOthersAtGate();

// --- the collector's thread ---

// In the middle of work: if the time is over says so to who drives, and waits, unless somebody else
// holds the gate open.
void YieldAtGate();
// Between two pieces of work: a call of Drive waits for what is done from here on.
bool IsLetIn();
// There is nothing to do now, as far as was looked since IsLetIn said `let_in`: says so to who
// drove then, and waits for the next call, if driven.
void RestAtGate(bool let_in);
// How long YieldAtGate has waited in all.
Nanoseconds TimeAtGate();

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_GATE_H_
