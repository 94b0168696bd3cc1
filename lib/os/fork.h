// Fork: the gate between the collector thread and a thread that forks, and the child's number.
//
// A child has one thread, the one that forked; every other thread is cut off wherever it was. The
// collector thread must not be cut off in work that only it does (layouts, arming, a mark stack,
// its own records): that would leave the child's heaps in a state that nobody can repair. So this
// work is done behind a gate, and fork closes the gate first. Elsewhere, asleep or in a *window*,
// the collector thread does only what any thread may do, and may be cut off like any other.
//
// Windows are what keeps fork from waiting for the program: in a window the collector thread runs
// destructors, which may wait for a lock that the forking thread holds, or fork themselves. The
// forking thread waits for the work outside windows, which is bounded, and a moment for an open
// window, so that little is cut off; not longer.
//
// Dekker's protocol on two words: the collector thread stores its place and then looks at the gate;
// the forking thread shuts the gate and then looks at the place. All of it sequentially consistent.
#ifndef REEF_LIB_OS_FORK_H_
#define REEF_LIB_OS_FORK_H_

#include <chrono>
#include <cstdint>

namespace reef::os {

// Collector thread: the beginning and the end of work that fork must not cut off. Begin waits while
// the gate is shut.
void BeginGuardedWork();
void EndGuardedWork();

// Collector thread, in guarded work: a stretch in which fork may happen, on this thread or another.
// Its end is where a fork holds this thread: what is owed by then must have been written before.
// On other threads, and in a window: nothing. Where the thread itself forked in the window, its
// child must not leave it: the work around it has ended with the fork (aborts with a message).
class ForkWindow {
 public:
  ForkWindow();
  ~ForkWindow();
  ForkWindow(const ForkWindow&) = delete;
  ForkWindow& operator=(const ForkWindow&) = delete;

 private:
  const bool opened_;
  const uint32_t generation_;
};

// Any thread: the number of the window that the collector thread stands in, 0 if in none. Who sees
// the same number twice knows that it has not left it in between.
uint64_t CurrentWindow();
// In a window: the program's code has returned, and there is more of it. The window counts as
// another one from then on. Elsewhere nothing.
void PassWindow();

// Forking thread: shuts the gate, waits until no guarded work is under way, and up to `patience`
// for an open window to be left. One thread at a time.
void ShutForkGate(std::chrono::nanoseconds patience);
void OpenForkGate();
// In the child: the same, and the collector thread is gone.
void OpenForkGateInChild();

// How many forks lie between this process and the one that first used Reef. Constant but for the
// first moments of a child, when there is one thread.
uint32_t ForkGeneration();

}  // namespace reef::os

#endif  // REEF_LIB_OS_FORK_H_
