// Rendezvous: the collector makes sure that every thread has been at a safe-point since it stored
// the mode. Nobody has to answer.
//
//   store the mode · membarrier · walk the slots: seq even, or wait until it has changed
//
// Afterwards every bracket that began before has ended, and every later one reads the new mode.
// Why: take a bracket whose load of the mode came before the barrier reached its thread. Its odd
// seq was stored before that load, so the barrier made it visible: the walk sees it, or a later
// value, and waits. A bracket whose load came after the barrier sees the new mode. The slots are
// listed after the barrier, too, so that a thread which attaches meanwhile either is walked or sees
// the new mode. A thread at a safe-point is passed at once, whatever it is doing; one that lost its
// processor inside a bracket is waited for, by the collector only. (Model:
// tests/models/rendezvous.pml.)
#ifndef REEF_LIB_THREADS_RENDEZVOUS_H_
#define REEF_LIB_THREADS_RENDEZVOUS_H_

#include <chrono>

namespace reef::threads {

// The caller has stored the mode, and is outside brackets itself.
void Rendezvous();

// The longest so far, and the longest wait for a single thread's bracket.
std::chrono::nanoseconds LongestRendezvous();
std::chrono::nanoseconds LongestBracket();

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_RENDEZVOUS_H_
