// Heap: a private heap of managed objects, and the process-wide default heap.
//
//   auto heap = reef::Heap::Create({.max_bytes = 4ull << 30});        // StatusOr
//   reef::Ref<Account> a = (*heap)->Make<Account>("root");
//   reef::Ref<Account> b = reef::Make<Account>("x");                   // the default heap
//   reef::CollectionReport report = (*heap)->Collect();
//
// Thread safety: every function may be called from any thread, without registration; only the
// destructor wants the heap for itself.
//
// Locks: the collector thread runs destructors of garbage, finalizers and callbacks. A thread that
// waits for it (Collect, TryCollect, Freeze, Unfreeze, ~Heap, DriveCollector) must hold no lock
// that these take: it would wait for ever, but for ~Heap, which gives up (see there). An
// allocation, or a growth of external bytes, waits only at the limit, and may be made under any
// lock: if such code stands still for about a second (or goes on for ten), it fails instead. Where
// there is no such thread, while the process ends or in a child that can have none, it collects
// nothing: it never runs the destructor or finalizer of garbage itself. The static initialiser of a
// library must not wait for a collection: dlopen holds the dynamic linker's lock meanwhile, which a
// new thread of the engine needs.
//
// A heap reserves one range of addresses and takes memory as it is used. Allocation pops from the
// thread's slab of the size class, chosen at compile time, without an atomic read-modify-write
// (thread caches over slabs: Hoard, mimalloc). Cycles are found by one background thread for all
// heaps, which marks concurrently and never stops a thread.
#ifndef REEF_HEAP_H_
#define REEF_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reef/any_ref.h"
#include "reef/control.h"
#include "reef/error.h"
#include "reef/finalizer.h"
#include "reef/internal/make.h"
#include "reef/ref.h"
#include "reef/stats.h"

namespace reef {

// What the destructor of a Heap does about objects that are still referred to. In any case they
// stay valid, and their memory stays until the process ends: none is destroyed under a handle.
enum class HeapEnd {
  // Collects first, returns all memory if nothing is left, and otherwise says on stderr how much
  // is.
  kReport,
  // The same, but after collecting runs the finalizers (Finalize) of all that is still referred to,
  // of each object at most once in its life, in no particular order, as in a collection: each finds
  // what it reaches whole, and no object dies whose finalizer is still to come. Collects again
  // after that: what the finalizers have let go is freed. Objects that they make are not finalized.
  // No other thread may use objects of the heap meanwhile. With a finalizer_executor they are
  // handed to that, and their objects are referred to until it has run them. O(heap).
  kFinalize,
  // Nothing: returns at once, collects nothing and reports nothing, also if nothing is referred to.
  // For heaps that end with the process. Their objects go on to be counted and collected; what
  // DebugFlags::keep_garbage has listed stays, and nothing more is listed.
  kLeak,
};

// What a heap is made with. Where a field has its default value, an environment variable of the
// name REEF_<FIELD> may give another one (docs/options.md).
struct HeapOptions {
  // Addresses to reserve, in bytes; rounded up to 4 MiB. Where the system refuses, Create tries
  // less, down to 64 MiB. No memory is used by it.
  uint64_t reserve_bytes = uint64_t{64} << 30;
  // The hard limit: the most memory that the heap may take from the system and its objects may own
  // elsewhere (AddExternalBytes), together; 0: what the control group implies, and without one no
  // limit: the heap has what was reserved, and what objects own elsewhere is only counted. At the
  // limit allocation collects, purges, tries again, asks on_limit, then fails.
  uint64_t max_bytes = 0;
  // The soft limit of the same sum; 0: none, or what the control group implies. Above it nothing
  // fails, but collections do not wait for growth (collector_cpu_percent still bounds them), and
  // free memory goes back to the system at once.
  uint64_t soft_limit_bytes = 0;
  // Where the process runs in control groups with a memory limit and a limit above is 0, it becomes
  // 95 % (hard) of what they allow, or 80 % (soft) of that or of where they begin to reclaim: a
  // typed error is better than being killed. Read once, by Create, and for each heap as if it were
  // alone: a process with several large ones gives each its max_bytes. (A soft limit above the hard
  // one that is implied becomes the implied one.)
  bool respect_cgroup = true;
  // Called when the limit cannot be met, before the allocation fails, on its thread: any thread,
  // also the collector's, several at once, under the locks that the allocation is made under. May
  // drop references and shrink caches, after which the allocation is tried once more; must not
  // destroy the heap. Not called for allocations that it makes itself, in this heap or another.
  // What it throws goes to the unraisable hook; so does a Collect that is refused where it runs.
  // What it has captured stays until the heap ends or SetOnLimit replaces it, and a call under way
  // returns.
  std::function<void(const LimitReport&)> on_limit = nullptr;
  // Ask the system for huge pages (faster marking; a few MiB more resident memory).
  bool huge_pages = true;
  // Collections start by themselves. Otherwise only Collect, and memory pressure, start one.
  bool automatic_collection = true;
  // Growth of traced bytes since the last collection that makes one due, in percent, and in bytes:
  // both must be exceeded. Recent yields scale the percentage between half and four times this.
  int growth_percent = 100;
  uint64_t growth_bytes = uint64_t{8} << 20;
  // The largest share of one core that automatic collections may take, in percent, 1 to 100. It
  // holds while growth stays below twice what makes a collection due; from there on the share is
  // lifted, and at four times it is no limit any more.
  int collector_cpu_percent = 25;
  // Threads that mark, 1 to 16. More than one uses oneTBB.
  int marker_threads = 1;
  // The most objects that the drop of one reference destroys before its statement ends, a finalizer
  // counting as one; the collector thread does the rest. 0: no limit; otherwise at least 64. What
  // other drops of the same statement destroy (a vector's elements, drops that waited for a bias)
  // is counted apart. What is left is left whole: objects of other heaps among it as well.
  uint64_t drop_budget = 0;
  // Runs finalizers and weak callbacks; empty: they run where they fall due (reef/finalizer.h).
  FinalizerExecutor finalizer_executor = nullptr;
  // What collections show of their work.
  DebugFlags debug{};
  // What ~Heap does about objects that are still referred to.
  HeapEnd end = HeapEnd::kReport;
};

class Heap {
 public:
  // Errors: InvalidArgument (an option out of range, a REEF_ variable of the environment that does
  // not exist or cannot be read; says which), ResourceExhausted (no memory or addresses, no thread
  // for the collector, or more than 255 heaps). Passes on what a copy of on_limit or of
  // finalizer_executor throws. Reads the environment: not beside a setenv.
  static absl::StatusOr<std::unique_ptr<Heap>> Create(const HeapOptions& options = {});

  // As HeapOptions::end says. With kReport and kFinalize: collects, then returns all memory, raw
  // bytes that were not given back included. Objects that are still referred to are reported on
  // stderr and stay valid: the memory then stays until the process ends. Where user code on the
  // collector thread stands still for about five seconds (a destructor that does not return, or
  // one that waits for what this thread holds), gives up: reports that, and all memory stays. No
  // thread may use the heap, or its objects unless they stay, during the call or after it:
  // undefined. Not in its own on_limit; nor where a collection cannot be waited for (in a
  // ReadScope, or in a constructor, destructor, finalizer or callback): aborts, unless it is there
  // that the main thread, or the collector thread, has called exit, for then it reports and leaves
  // the memory. With kLeak: anywhere, O(1). In any case OnCollection functions and on_limit are
  // not called any more; calls under way are waited for only where no object is left.
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // Makes a T. Throws OutOfMemory, or what the constructor throws (the block is returned, nothing
  // leaks). O(1); lock-free but for memory mapping and emergency collections.
  template <typename T, typename... Args>
  [[nodiscard]] REEF_INLINE Ref<T> Make(Args&&... args) {
    T* object = internal::TryMakeObject<T>(core_, core_->index, std::forward<Args>(args)...);
    if (REEF_UNLIKELY(object == nullptr)) internal::ThrowOutOfMemory(core_, sizeof(T));
    return Ref<T>::FromOwned(object);
  }
  // The same with a status: ResourceExhausted instead of OutOfMemory. Still passes on what the
  // constructor throws.
  template <typename T, typename... Args>
  [[nodiscard]] absl::StatusOr<Ref<T>> TryMake(Args&&... args) {
    T* object = internal::TryMakeObject<T>(core_, core_->index, std::forward<Args>(args)...);
    if (REEF_UNLIKELY(object == nullptr)) return ExhaustedError(sizeof(T));
    return Ref<T>::FromOwned(object);
  }

  // Raw bytes without header, count or trace, up to gigabytes; 0 bytes are a block like 1.
  // `alignment`: a power of two, at most 64 KiB; another one aborts, in TryAllocate as well. Throws
  // OutOfMemory; TryAllocate returns null.
  [[nodiscard]] void* Allocate(size_t bytes, size_t alignment = alignof(std::max_align_t));
  [[nodiscard]] void* TryAllocate(size_t bytes,
                                  size_t alignment = alignof(std::max_align_t)) noexcept;
  // From any thread. Null is ignored; a pointer that is not raw memory of this heap aborts, in
  // checked builds also one into the middle of a block. Twice is undefined, and so is a block after
  // the heap's end.
  void Deallocate(void* bytes) noexcept;

  // Accounts memory elsewhere that objects of this heap own: it counts as growth for the pacer, and
  // towards the limits. `delta` below zero gives back what was added before; that cannot fail. More
  // than the heap counts in all aborts in checked builds, and does nothing in others. Otherwise
  // throws OutOfMemory at the hard limit, after the same efforts as an allocation. O(1).
  // An object that owns such memory had better have an ExternalBytes (reef/external.h).
  void AddExternalBytes(int64_t delta);
  // The same with a status: ResourceExhausted instead of OutOfMemory; InvalidArgument where nothing
  // was done.
  absl::Status TryAddExternalBytes(int64_t delta);

  // Sets HeapOptions::on_limit, an empty function: none. For the default heap above all. From the
  // next call on; one under way is not waited for. Throws std::bad_alloc.
  void SetOnLimit(std::function<void(const LimitReport&)> on_limit);

  // Collects until nothing unreachable is left that was unreachable when the call began (four
  // rounds at most, should destructors go on making cycles); waits for it, and reports what was
  // found meanwhile, for whomever. Also takes away pending biases and finishes grace periods.
  // Throws CollectRefused inside a ReadScope, and in what the engine calls of the program's: a
  // destructor of a managed object, a constructor of one that may throw, a finalizer, a weak
  // callback, the function of a Finalizer at its object's death, one of OnCollection, an executor
  // and its tasks, the unraisable hook. With an executor it does not wait for the tasks: what they
  // keep is gone after a Collect that comes after them.
  CollectionReport Collect();
  // The same with a status: FailedPrecondition instead of CollectRefused.
  absl::StatusOr<CollectionReport> TryCollect();

  // --- Control: see reef/control.h. From any thread; each takes a mutex for a moment, and waits
  // for nothing else unless it says so. ---

  // Whether collections start by themselves; HeapOptions::automatic_collection to begin with.
  // Collect, and an allocation that finds no memory, start one in any case, and one under way goes
  // on. Calling twice is calling once.
  void EnableCollection();
  void DisableCollection();
  // True if they do now: enabled, and no CollectionPause lives.
  bool IsCollectionEnabled() const;

  // Sets all four at once. InvalidArgument, naming the field, if one is out of range; then nothing
  // has changed.
  absl::Status SetPacing(const PacingOptions& pacing);
  PacingOptions Pacing() const;

  // From the next collection on.
  void SetDebug(const DebugFlags& flags);
  DebugFlags Debug() const;
  // The objects that DebugFlags::keep_garbage has kept since the last call, each with a root in
  // its AnyRef: whoever drops them lets the next collection find them again. Throws std::bad_alloc,
  // and then they stay kept. Those of a heap that ends are reclaimed with it.
  [[nodiscard]] std::vector<AnyRef> TakeGarbage();

  // Has `function` called before each collection of this heap and after it, on the thread that runs
  // it, in the order of registration, until the returned handle ends. It may use heaps like any
  // code, also Freeze, SetDebug, TakeGarbage and OnCollection; but Collect is refused there, and if
  // it destroys a heap the process aborts. What it throws goes to the unraisable hook
  // (reef/unraisable.h). A slow one delays collections, not the program's threads. The first call
  // may be that of a collection's end. An empty function aborts in checked builds, and otherwise
  // gives an empty handle. Throws std::bad_alloc, and then nothing is registered.
  CollectionCallback OnCollection(std::function<void(const CollectionEvent&)> function);
  // The last 64 collections of this heap at most, the oldest first. Throws std::bad_alloc.
  std::vector<CollectionRecord> History() const;

  // Freezes every object that lives: collections spare it from now on, whether it is reachable or
  // not. They still follow its edges, but no longer write to it; so after a fork its page stays
  // shared as long as nobody counts on it. Counting goes on as ever. Meant for what a server has
  // built up once: collect, freeze, then fork or serve. Objects made during the call may be frozen
  // or not. Returns how many objects are frozen now; leaves are not among them, as collections
  // never look at them. Waits for a collection under way: for ever, with a lock held that a
  // destructor, finalizer or callback of that takes. FailedPrecondition, and nothing done, in a
  // destructor, finalizer or weak callback that a collection of this heap runs; anywhere else it
  // may be called, also in a ReadScope, a constructor, or a function of OnCollection. O(objects).
  // As Python's gc.freeze, whose collector also leaves the edges out.
  absl::StatusOr<uint64_t> Freeze();
  // Gives them back to the collections; returns how many there were. Waits and fails as Freeze.
  absl::StatusOr<uint64_t> Unfreeze();
  // How many frozen objects live. A snapshot; O(objects).
  uint64_t FreezeCount() const;

  // True while a collection of this heap is under way. A snapshot; O(1).
  bool IsCollecting() const noexcept;
  // O(slabs), and a system call per 4 MiB in use for the resident bytes.
  HeapStats Stats() const;
  // Walks the whole heap and checks what can be checked while no thread changes it: counted edges
  // are those that are there, stages, colours, lists of slabs, chains of free blocks, bitmaps,
  // accounting. (How many Refs there are outside the heap nobody knows.) The caller makes sure that
  // it is quiet, and that nothing waits for the collector thread: Collect sees to that. O(heap),
  // and allocates.
  absl::Status Verify() const;

  // True if the object was made in this heap. O(1).
  template <typename T>
  bool Contains(const Ref<T>& ref) const noexcept {
    return ref && internal::SegmentOf(ref.get())->core == core_;
  }

 private:
  friend Heap& DefaultHeap();
  friend class CollectionPause;
  explicit Heap(internal::HeapCore* core, HeapEnd end = HeapEnd::kLeak) : core_(core), end_(end) {}
  static absl::Status ExhaustedError(size_t bytes);
  const std::shared_ptr<collector::Control>& control() const;

  internal::HeapCore* const core_;
  const HeapEnd end_;
};

// The process-wide heap: made on first use with default options, never destroyed, so that statics
// and thread_locals may drop their Refs as late as they like. There being nobody to tell, it aborts
// where Create has an error: a malformed variable, no addresses, no thread.
Heap& DefaultHeap();

// Make and TryMake on the default heap.
template <typename T, typename... Args>
[[nodiscard]] REEF_INLINE Ref<T> Make(Args&&... args) {
  T* object = internal::TryMakeObject<T>(&internal::g_default_core, internal::kDefaultHeapIndex,
                                         std::forward<Args>(args)...);
  if (REEF_UNLIKELY(object == nullptr)) {
    internal::ThrowOutOfMemory(&internal::g_default_core, sizeof(T));
  }
  return Ref<T>::FromOwned(object);
}
template <typename T, typename... Args>
[[nodiscard]] absl::StatusOr<Ref<T>> TryMake(Args&&... args) {
  return DefaultHeap().TryMake<T>(std::forward<Args>(args)...);
}

}  // namespace reef

#endif  // REEF_HEAP_H_
