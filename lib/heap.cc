// The façade: the public Heap bound to the layers below.
#include "reef/heap.h"

#include <atomic>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>

#include "absl/strings/str_cat.h"

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
  os::KeepEngineLoaded();
  const std::lock_guard<std::mutex> lock(g_default_mutex);
  if (open.load(std::memory_order_relaxed)) return;
  const absl::StatusOr<HeapOptions> options = ResolveOptions({});
  if (!options.ok()) {
    const std::string what(options.status().message());
    internal::Fatal(__FILE__, __LINE__, what.c_str(),
                    "the default heap takes its options from the environment: docs/options.md");
  }
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
  return TakeOrRelieve(core, ClassBytes(size_class), [=] {
    return memory::Refill(tls_slot, memory::Space::Of(core), kind, size_class);
  });
}

void* AllocateRun(HeapCore* core, SlabKind kind, size_t payload_bytes, size_t alignment) {
  EnsureOpen(core);
  CurrentSlot();
  os::StartAbsentCollector();
  return TakeOrRelieve(core, payload_bytes, [=] {
    return memory::Space::Of(core)->AllocateRun(kind, payload_bytes, alignment);
  });
}

void ThrowOutOfMemory(HeapCore* /*core*/, size_t bytes) { throw OutOfMemory(bytes); }

}  // namespace internal

absl::StatusOr<std::unique_ptr<Heap>> Heap::Create(const HeapOptions& given) {
  os::KeepEngineLoaded();
  const absl::StatusOr<HeapOptions> options = ResolveOptions(given);
  if (!options.ok()) return options.status();
  HeapCore* core = TakeCore();
  if (core == nullptr) return absl::ResourceExhaustedError("no memory for another heap");
  if (memory::EnterHeap(core) == 0) {
    PutCore(core);
    return absl::ResourceExhaustedError("more than 255 heaps at once");
  }
  core->drop_budget = options->drop_budget;
  auto collected = collector::OpenHeap(core, SpaceOptionsOf(*options), CollectorOptionsOf(*options),
                                       options->finalizer_executor);
  if (collected == nullptr) {
    memory::RemoveHeap(core);
    PutCore(core);
    return absl::ResourceExhaustedError(
        "the system refuses to reserve 64 MiB of addresses for a heap (ulimit -v?)");
  }
  collected->on_limit = options->on_limit;
  (void)collected.release();  // by ~Heap
  return std::unique_ptr<Heap>(new Heap(core, options->end));
}

Heap::~Heap() {
  if (end_ == HeapEnd::kLeak) return;
  const char* why = collector::WhyNotCollect();
  REEF_CHECK(why == nullptr, "a Heap was destroyed where a collection cannot be waited for",
             "not inside a ReadScope, nor by a constructor or destructor of a managed object");
  CollectedHeap* collected = CollectedHeap::Of(core_);
  LetGoOfControl(*this);
  const uint64_t left = collector::CloseHeap(collected, end_ == HeapEnd::kFinalize);
  if (left == 0) {
    delete collected;
    PutCore(core_);
    return;
  }
  collected->control->RemoveAll();
  const std::string what =
      absl::StrCat("a Heap was destroyed while ", left, " of its objects are still referred to");
  internal::Warn(what.c_str(), "drop all Refs first; its memory stays until the process ends");
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
  if (!internal::AddExternal(core_, delta)) {
    internal::ThrowOutOfMemory(core_, static_cast<size_t>(delta));
  }
}

absl::Status Heap::TryAddExternalBytes(int64_t delta) {
  if (internal::AddExternal(core_, delta)) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("reef: no room for ", delta, " external bytes"));
}

CollectionReport Heap::Collect() {
  if (const char* why = collector::WhyNotCollect()) throw CollectRefused(why);
  return collector::Collect(CollectedHeap::Of(core_), /*emergency=*/false);
}

absl::StatusOr<CollectionReport> Heap::TryCollect() {
  if (const char* why = collector::WhyNotCollect()) return absl::FailedPreconditionError(why);
  return collector::Collect(CollectedHeap::Of(core_), /*emergency=*/false);
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
  return absl::ResourceExhaustedError(
      absl::StrCat("reef: out of memory for an object of ", bytes, " bytes"));
}

}  // namespace reef
