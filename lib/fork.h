// Fork: makes the child of a fork a process in which every heap works.
//
// Before the fork the forking thread waits until the collector thread is in no work of its own, and
// takes every mutex of the engine, in one order. So at the fork each of them is held by the one
// thread that goes on in both processes. The parent releases them. The child does so, too; then it
// disarms a collection that was under way, makes orphans of the slots of the threads that it has
// lost, and notes that it has no collector thread: one is started when it is needed.
#ifndef REEF_LIB_FORK_H_
#define REEF_LIB_FORK_H_

#include <mutex>

namespace reef {

// Registers the handlers (pthread_atfork); once. Always true: aborts if there is no memory.
bool HandleForks();

namespace internal {

// The façade's own: the start of the default heap, the cores of heaps that ended (lib/heap.cc).
std::mutex& DefaultHeapMutex();
std::mutex& SpareCoresMutex();
// The registry of reef::Finalizer (lib/weak_finalizer.cc).
std::mutex& FinalizerRegistryMutex();

}  // namespace internal
}  // namespace reef

#endif  // REEF_LIB_FORK_H_
