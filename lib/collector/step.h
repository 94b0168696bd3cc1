// Steps: the places in a collection at which a test can stop the collector thread, let program
// threads act, and let it go on (tests/heap/stepper.h). In a program nobody listens: one load each.
#ifndef REEF_LIB_COLLECTOR_STEP_H_
#define REEF_LIB_COLLECTOR_STEP_H_

#include <atomic>
#include <cstdint>

#include "lib/os/fork.h"

namespace reef::collector {

// In the order of a collection; those from kMarked to kGarbageKept come once a round.
enum class Step : uint8_t {
  kLogging,          // mode LOGGING is stored, its rendezvous is yet to come
  kEverybodyLogs,    // T0
  kMarking,          // mode MARKING is stored, its rendezvous is yet to come
  kBornBlack,        // T1
  kRootsScanned,     // and pushed, nothing is traced
  kMarked,           // the mark stack is empty; the rendezvous and the logs are yet to come
  kLogsTaken,        // what they held is not yet traced
  kFinalizersTaken,  // what they reach is not yet traced
  kGarbageKept,      // what it reaches is not yet traced
  kDoorClosed,       // the white objects are garbage, nothing says so yet
  kCondemned,        // DEAD, their weak cells cleared; the barrier is still on
  kIdle,             // mode IDLE is stored, its rendezvous is yet to come
  kDoorOpen,         // callbacks are yet to run
  kCallbacksRun,     // the garbage still has its edges
  kCleared,          // it has none; no destructor has run
  kFreed,            // finalizers are yet to run
  kFinalized,        // the end
};

// Set while no collection runs. Acquire: what the listener needs was written before.
inline std::atomic<void (*)(Step)> g_on_step{nullptr};

// The listener is one of fork's windows: what a collection owes at any step is known to the child.
inline void Pass(Step step) {
  if (auto* on_step = g_on_step.load(std::memory_order_acquire)) {
    const os::ForkWindow window;
    on_step(step);
  }
}

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_STEP_H_
