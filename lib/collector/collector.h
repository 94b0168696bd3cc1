// The collector: one background thread for all heaps of the process.
//
// It sleeps when there is nothing to do, and otherwise: revokes pending biases and reclaims retired
// objects (every millisecond while there are any), returns empty slabs to the supply and their
// memory to the system, empties the caches of threads that ended, and runs collections, one at a
// time, asked for or due. It starts with the first heap, in the child of a fork with the first
// need, and is never joined; at process exit it is parked between two pieces of work, and who asks
// for a collection after that runs it himself. Fork never cuts it off in work of its own
// (lib/os/fork.h).
#ifndef REEF_LIB_COLLECTOR_COLLECTOR_H_
#define REEF_LIB_COLLECTOR_COLLECTOR_H_

#include <memory>
#include <mutex>
#include <optional>

#include "lib/collector/collected_heap.h"
#include "reef/stats.h"

namespace reef::collector {

// Makes a heap: region, collector state, entry in the heap table. Null if there are no addresses.
// `core` is constant-initialised and outlives the process or the heap.
std::unique_ptr<CollectedHeap> OpenHeap(HeapCore* core, const memory::SpaceOptions& memory,
                                        const CollectorOptions& options,
                                        FinalizerExecutor executor = nullptr);
// Collects, empties all caches, and unmaps the region if no object is left. Otherwise returns the
// number of objects that still live and leaves everything as it is; nothing, if user code holds the
// collector thread up. `finalize`: runs the finalizers of what is left, first, and collects again.
std::optional<uint64_t> CloseHeap(CollectedHeap* heap, bool finalize = false);

// Starts the collector's thread where there is none. False if the system starts none.
bool EnsureThread();
// True if user code on the collector thread does not return, so that a heap's end cannot wait for
// it, or has ended the process. To be asked again and again.
bool IsHeldUp();

// A heap is there for the collector thread, and no more (which waits for a piece of work to end;
// false if it does not).
void EnterHeap(CollectedHeap* heap);
bool LeaveHeap(CollectedHeap* heap);

// For fork. The mutex of the start. Held: no heap comes, goes, or claims whole segments. The child:
// forgets the collector thread and those who waited for it; it is started again when it is needed.
std::mutex& StartMutex();
bool IsStarted();
void HoldForFork();
void ReleaseAfterFork();
void BeginAsChild();

// Why the calling thread must not wait for a collection; null if it may.
const char* WhyNotCollect();
// True on the thread that collects.
bool IsCollectorThread();
// Waits for a collection that begins after the call.
CollectionReport Collect(CollectedHeap* heap);
// The same, and returns all free memory. False if user code holds the collector thread up.
bool CollectAtEnd(CollectedHeap* heap);
// The same for an allocation. Nothing if user code holds the collector thread up (hold_up.h), or if
// there is no such thread, so that the allocation would run that code itself.
std::optional<CollectionReport> CollectForAllocation(CollectedHeap* heap);
// Whether an allocation on the calling thread may wait for memory. In a constructor it may: what is
// under construction is kept, and the rest is collected.
bool MayWaitForMemory();
// The part of an emergency that needs no collection: waits, as long as that, until dead objects
// that wait are destroyed and free memory is returned.
void ReturnFreeMemory(CollectedHeap* heap);

// Fills in what the collector knows: totals of this heap, its last collection; and takes what that
// has left from stats->uncollected_bytes, where the caller has put the traced bytes in use
// and the external ones.
void FillStats(CollectedHeap* heap, HeapStats* stats);
// True while a collection of the heap is under way. A snapshot.
bool IsCollecting(const CollectedHeap* heap);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_COLLECTOR_H_
