// The façade: the public Heap bound to the layers below.
#include "reef/heap.h"

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <mutex>
#include <new>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>

#include "lib/collector/collector.h"
#include "lib/collector/control.h"
#include "lib/collector/verifier.h"
#include "lib/control.h"
#include "lib/exhaustion.h"
#include "lib/fork.h"
#include "lib/inspect/statistics.h"
#include "lib/memory/heap_table.h"
#include "lib/memory/limits.h"
#include "lib/memory/thread_cache.h"
#include "lib/options.h"
#include "lib/os/bell.h"
#include "lib/os/cgroup.h"
#include "lib/os/fault.h"
#include "lib/os/keep_loaded.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"

namespace reef {

using collector::CollectedHeap;
using internal::HeapCore;
using internal::SlabKind;

namespace internal {

constinit HeapCore g_default_core;

}  // namespace internal

namespace {

// With the program's other constants: in the program from its start, and behind the handlers that a
// program registers, so that what those wait for can still use a heap.
[[maybe_unused]] const bool g_forks_handled = HandleForks();

constexpr char kNoMemory[] = "no memory for another heap";

memory::SpaceOptions SpaceOptionsOf(const HeapOptions& options) {
  const memory::Limits wanted{.soft = options.soft_limit_bytes, .hard = options.max_bytes};
  const os::CgroupLimits cgroup =
      options.respect_cgroup ? os::ReadCgroupLimits() : os::CgroupLimits();
  const memory::Limits limits = memory::ChooseLimits(wanted, cgroup);
  return {.reserve_bytes = options.reserve_bytes,
          .max_bytes = limits.hard,
          .soft_bytes = limits.soft,
          .huge_pages = options.huge_pages};
}

collector::CollectorOptions CollectorOptionsOf(const HeapOptions& options) {
  return {.automatic = options.automatic_collection,
          .growth_percent = options.growth_percent,
          .growth_bytes = options.growth_bytes,
          .cpu_percent = options.collector_cpu_percent,
          .marker_threads = options.marker_threads,
          .debugging = {.print_statistics = options.debug.print_statistics,
                        .print_garbage = options.debug.print_garbage,
                        .keep_garbage = options.debug.keep_garbage}};
}

// Cores of heaps that ended, for the next ones: a core is never freed, because look-ups of other
// heaps may be reading it.
struct SpareCores {
  std::mutex mutex;
  uint32_t count = 0;
  HeapCore* cores[internal::kMaxHeaps] = {};  // there are no more: each had an index
};

constinit SpareCores g_spare;

HeapCore* TakeCore() {
  const std::lock_guard<std::mutex> lock(g_spare.mutex);
  if (g_spare.count == 0) return os::IsFaultDue() ? nullptr : new (std::nothrow) HeapCore;
  return g_spare.cores[--g_spare.count];
}

void PutCore(HeapCore* core) {
  const std::lock_guard<std::mutex> lock(g_spare.mutex);
  g_spare.cores[g_spare.count++] = core;
}

constinit std::mutex g_default_mutex;

// The default heap's memory, on the first allocation in it.
void EnsureDefaultHeap() {
  // Release when it is there, acquire by its users.
  static constinit std::atomic<bool> open{false};
  if (REEF_LIKELY(open.load(std::memory_order_acquire))) return;
  // Both take the dynamic linker's lock, which a thread may hold that waits for the mutex: it runs
  // a library's statics.
  os::KeepEngineLoaded();
  (void)internal::CurrentSlot();
  const std::lock_guard<std::mutex> lock(g_default_mutex);
  if (open.load(std::memory_order_relaxed)) return;
  const absl::StatusOr<HeapOptions> options = ResolveOptions({});
  if (!options.ok()) {
    const std::string what(options.status().message());
    internal::Fatal(__FILE__, __LINE__, what.c_str(),
                    "the default heap takes its options from the environment: docs/options.md");
  }
  REEF_CHECK(collector::EnsureThread(), "the system starts no thread for the collector",
             "raise the limits on threads (ulimit -u) and on virtual memory (ulimit -v)");
  internal::g_default_core.drop_budget = options->drop_budget;
  auto heap = collector::OpenHeap(&internal::g_default_core, SpaceOptionsOf(*options),
                                  CollectorOptionsOf(*options));
  REEF_CHECK(heap != nullptr, "no addresses for the default heap",
             "raise the limit on virtual memory (ulimit -v)");
  memory::EnterDefaultHeap(&internal::g_default_core);
  (void)heap.release();  // never destroyed
  open.store(true, std::memory_order_release);
}

void EnsureOpen(HeapCore* core) {
  if (core == &internal::g_default_core) EnsureDefaultHeap();
}

}  // namespace

namespace internal {

std::mutex& DefaultHeapMutex() { return g_default_mutex; }
std::mutex& SpareCoresMutex() { return g_spare.mutex; }

void* AllocateSlow(HeapCore* core, SlabKind kind, int size_class) {
  EnsureOpen(core);
  CurrentSlot();
  os::StartAbsentCollector();
  return TakeOrRelieve(core, Wanted::kMemory, ClassBytes(size_class), [=] {
    return memory::Refill(tls_slot, memory::Space::Of(core), kind, size_class);
  });
}

void* AllocateRun(HeapCore* core, SlabKind kind, size_t payload_bytes, size_t alignment) {
  EnsureOpen(core);
  CurrentSlot();
  os::StartAbsentCollector();
  return TakeOrRelieve(core, Wanted::kMemory, payload_bytes, [=] {
    return memory::Space::Of(core)->AllocateRun(kind, payload_bytes, alignment);
  });
}

void ThrowOutOfMemory(HeapCore* /*core*/, size_t bytes) { throw OutOfMemory(bytes); }

}  // namespace internal

namespace {

// Takes a core and opens the heap; null, with `why`, if that fails. Throws nothing.
CollectedHeap* OpenCore(HeapOptions* options, const memory::SpaceOptions& memory,
                        absl::Status* why) {
  if (!collector::EnsureThread()) {
    *why = internal::Exhausted("the system starts no thread for the collector (ulimit -u?)");
    return nullptr;
  }
  HeapCore* core = TakeCore();
  if (core == nullptr) {
    *why = internal::Exhausted(kNoMemory);
    return nullptr;
  }
  if (memory::EnterHeap(core) == 0) {
    PutCore(core);
    *why = internal::Exhausted("more than 255 heaps at once");
    return nullptr;
  }
  core->drop_budget = options->drop_budget;
  auto collected = collector::OpenHeap(core, memory, CollectorOptionsOf(*options),
                                       std::move(options->finalizer_executor));
  if (collected == nullptr) {
    memory::RemoveHeap(core);
    PutCore(core);
    *why = internal::Exhausted(
        "the system refuses to reserve 64 MiB of addresses for a heap (ulimit -v?)");
    return nullptr;
  }
  return collected.release();  // by ~Heap
}

// For a Heap that is not made yet.
struct Room {
  void operator()(void* room) const { ::operator delete(room); }
};

// Its functions are not called for the heap any more, but for calls under way: these may want what
// this thread holds.
void EndCalls(CollectedHeap* collected) {
  collected->control->EndCalls();
  internal::SetOnLimit(collected, nullptr);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Heap>> Heap::Create(const HeapOptions& given) {
  os::KeepEngineLoaded();
  try {
    absl::StatusOr<HeapOptions> options = ResolveOptions(given);
    if (!options.ok()) return options.status();
    // All that may throw, copies of functions as well, comes before anything is taken.
    auto on_limit = internal::ShareFunction(std::move(options->on_limit));
    const memory::SpaceOptions memory = SpaceOptionsOf(*options);
    os::ThrowIfFaultDue();
    std::unique_ptr<void, Room> room(::operator new(sizeof(Heap)));
    absl::Status why;
    CollectedHeap* collected = OpenCore(&*options, memory, &why);
    if (collected == nullptr) return why;
    internal::SetOnLimit(collected, std::move(on_limit));
    return std::unique_ptr<Heap>(new (room.release()) Heap(collected->core, options->end));
  } catch (const std::bad_alloc&) {
    return internal::Exhausted(kNoMemory);
  }
}

Heap::~Heap() {
  CollectedHeap* collected = CollectedHeap::Of(core_);
  if (end_ == HeapEnd::kLeak) {
    SetDebug({});
    EndCalls(collected);
    return;
  }
  const char* why = collector::WhyNotCollect();
  REEF_CHECK(why == nullptr || threads::IsEndOfThread(),
             "a Heap was destroyed where a collection cannot be waited for",
             "not inside a ReadScope, nor by a constructor, destructor, finalizer or callback");
  std::optional<uint64_t> left;
  if (why == nullptr && LetGoOfControl(collected)) {
    left = collector::CloseHeap(collected, end_ == HeapEnd::kFinalize);
  }
  if (!left) {
    EndCalls(collected);
    internal::Warn(
        why != nullptr ? "a Heap ends with the process where no collection can be waited for"
                       : "a Heap ends while user code on the collector thread does not return",
        "its memory stays; call exit outside of destructors and callbacks, and let these "
        "wait for nothing that is held while a heap ends");
    return;
  }
  if (*left == 0) {
    delete collected;
    PutCore(core_);
    return;
  }
  EndCalls(collected);
  char what[120];
  (void)std::snprintf(what, sizeof what,
                      "a Heap was destroyed while %" PRIu64 " of its objects are still referred to",
                      *left);
  internal::Warn(what, "drop all Refs first; its memory stays until the process ends");
}

void Heap::SetOnLimit(std::function<void(const LimitReport&)> on_limit) {
  internal::SetOnLimit(CollectedHeap::Of(core_), internal::ShareFunction(std::move(on_limit)));
}

Heap& DefaultHeap() {
  EnsureDefaultHeap();
  // Made under the mutex that fork holds, and never destroyed.
  static constinit std::atomic<Heap*> made{nullptr};
  Heap* heap = made.load(std::memory_order_acquire);
  if (REEF_LIKELY(heap != nullptr)) return *heap;
  const std::lock_guard<std::mutex> lock(g_default_mutex);
  alignas(Heap) static unsigned char storage[sizeof(Heap)];
  heap = made.load(std::memory_order_relaxed);
  if (heap == nullptr) {
    heap = new (storage) Heap(&internal::g_default_core);
    made.store(heap, std::memory_order_release);
  }
  return *heap;
}

void* Heap::Allocate(size_t bytes, size_t alignment) {
  void* block = TryAllocate(bytes, alignment);
  if (block == nullptr) internal::ThrowOutOfMemory(core_, bytes);
  return block;
}

void* Heap::TryAllocate(size_t bytes, size_t alignment) noexcept {
  REEF_CHECK(
      alignment != 0 && (alignment & (alignment - 1)) == 0 && alignment <= internal::kMaxAlignment,
      "Heap::Allocate with an alignment that is not a power of two up to 64 KiB",
      "pass a power of two");
  const int size_class = internal::ClassFor(SlabKind::kRaw, bytes, alignment);
  if (size_class != internal::kNoClass) {
    internal::Slot* slot = internal::tls_slot;
    return internal::AllocateBlock(slot, core_, core_->index, SlabKind::kRaw, size_class);
  }
  return internal::AllocateRun(core_, SlabKind::kRaw, bytes, alignment);
}

void Heap::Deallocate(void* bytes) noexcept {
  if (bytes == nullptr) return;
  REEF_CHECK(memory::FindHeap(bytes) == core_ && internal::SlabOf(bytes)->kind == SlabKind::kRaw &&
                 internal::SlabOf(bytes)->formatted.load(std::memory_order_acquire),
             "Heap::Deallocate of a pointer that this heap's Allocate did not return",
             "objects are not deallocated: drop their Refs");
  REEF_DCHECK(memory::Space::Of(core_)->IsBlock(reinterpret_cast<uintptr_t>(bytes)),
              "Heap::Deallocate of a pointer into the middle of a block",
              "pass the pointer that Allocate returned");
  internal::Slot* slot = internal::CurrentSlot();
  internal::FreeBlock</*kManaged=*/false>(slot, slot->slab_owner, bytes);
}

void Heap::AddExternalBytes(int64_t delta) {
  if (delta < 0) {
    (void)internal::TakeExternal(core_, 0 - static_cast<uint64_t>(delta));
  } else if (!internal::AddExternal(core_, static_cast<uint64_t>(delta))) {
    internal::ThrowOutOfMemory(core_, static_cast<size_t>(delta));
  }
}

absl::Status Heap::TryAddExternalBytes(int64_t delta) {
  if (delta < 0) {
    if (internal::TakeExternal(core_, 0 - static_cast<uint64_t>(delta))) return absl::OkStatus();
    return absl::InvalidArgumentError("more external bytes were given back than were added");
  }
  const auto bytes = static_cast<uint64_t>(delta);
  if (internal::AddExternal(core_, bytes)) return absl::OkStatus();
  return internal::Exhausted("no room for", bytes, "external bytes");
}

CollectionReport Heap::Collect() {
  if (const char* why = collector::WhyNotCollect()) throw CollectRefused(why);
  return collector::Collect(CollectedHeap::Of(core_));
}

absl::StatusOr<CollectionReport> Heap::TryCollect() {
  if (const char* why = collector::WhyNotCollect()) return absl::FailedPreconditionError(why);
  return collector::Collect(CollectedHeap::Of(core_));
}

bool Heap::IsCollecting() const noexcept {
  return collector::IsCollecting(CollectedHeap::Of(core_));
}

HeapStats Heap::Stats() const { return inspect::TakeStatistics(CollectedHeap::Of(core_)); }

absl::Status Heap::Verify() const {
  CollectedHeap* collected = CollectedHeap::Of(core_);
  const std::shared_lock<std::shared_mutex> lock(collected->layout);
  return collector::Verify(*collected->space, collected->quarantine);
}

absl::Status Heap::ExhaustedError(size_t bytes) {
  return internal::Exhausted("out of memory for an object of", bytes, "bytes");
}

}  // namespace reef
