#include "lib/exhaustion.h"

#include <exception>
#include <mutex>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

#include "lib/collector/collector.h"
#include "lib/memory/heap_table.h"
#include "lib/memory/space.h"
#include "lib/object/finalizer.h"
#include "reef/external.h"
#include "reef/internal/check.h"
#include "reef/internal/make.h"
#include "reef/stats.h"

namespace reef::internal {
namespace {

using collector::CollectedHeap;
using collector::Relief;
using memory::Space;

// The thread is in an on_limit: what fails in there fails without another call.
constinit thread_local bool t_reporting = false;

void CallOnLimit(const LimitFunction& on_limit, const LimitReport& report) noexcept {
  t_reporting = true;
  try {
    on_limit(report);
  } catch (...) {
    object::ReportUnraisable({.phase = "on_limit"}, std::current_exception());
  }
  t_reporting = false;
}

// Made while there is memory, and never destroyed; copies need none.
const absl::Status* const g_exhausted =
    new absl::Status(absl::ResourceExhaustedError("reef: out of memory"));

template <typename Words>
absl::Status ExhaustedWith(Words words) noexcept {
  try {
    return absl::ResourceExhaustedError(words());
  } catch (const std::bad_alloc&) {
    if (g_exhausted != nullptr) return *g_exhausted;
    return {absl::StatusCode::kResourceExhausted, ""};
  }
}

}  // namespace

Relief RelieveHeap(HeapCore* core, Wanted wanted, uint64_t bytes) {
  const Space* space = Space::Of(core);
  const uint64_t most = wanted == Wanted::kExternal ? space->hard_bytes() : space->max_bytes();
  if (bytes > most || !collector::MayWaitForMemory()) return Relief::kRefused;
  return collector::Relieve(CollectedHeap::Of(core));
}

bool ReportLimit(HeapCore* core, uint64_t bytes, bool collected) {
  if (t_reporting) return false;
  CollectedHeap* heap = CollectedHeap::Of(core);
  std::shared_ptr<const LimitFunction> on_limit;
  {
    const std::lock_guard<std::mutex> lock(heap->emergencies.mutex);
    on_limit = heap->on_limit;
  }
  if (on_limit == nullptr) return false;
  const Space& space = *heap->space;
  CallOnLimit(*on_limit, {.requested_bytes = bytes,
                          .committed_bytes = space.committed_bytes(),
                          .external_bytes = space.external_bytes(),
                          .max_bytes = space.limit_bytes(),
                          .collected = collected});
  if (collector::MayWaitForMemory()) collector::ReturnFreeMemory(heap);
  return true;
}

bool AddExternal(HeapCore* core, uint64_t bytes) {
  Space* space = Space::Of(core);
  return TakeOrRelieve(core, Wanted::kExternal, bytes,
                       [=] { return space->ChargeExternal(bytes); });
}

bool TakeExternal(HeapCore* core, uint64_t bytes) {
  const bool taken = Space::Of(core)->UnchargeExternal(bytes);
  REEF_DCHECK(
      taken, "more external bytes were taken from a heap than were added to it",
      "call AddExternalBytes with the same figures when memory is taken and when it is freed");
  return taken;
}

std::shared_ptr<const LimitFunction> ShareFunction(LimitFunction function) {
  if (!function) return nullptr;
  return std::make_shared<const LimitFunction>(std::move(function));
}

void SetOnLimit(CollectedHeap* heap, std::shared_ptr<const LimitFunction> on_limit) {
  const std::lock_guard<std::mutex> lock(heap->emergencies.mutex);
  heap->on_limit.swap(on_limit);  // the former one ends outside the mutex
}

absl::Status Exhausted(const char* what, uint64_t bytes, const char* unit) noexcept {
  return ExhaustedWith([=] { return absl::StrCat("reef: ", what, " ", bytes, " ", unit); });
}

absl::Status Exhausted(const char* what) noexcept {
  return ExhaustedWith([=] { return absl::StrCat("reef: ", what); });
}

}  // namespace reef::internal

namespace reef {
namespace {

internal::HeapCore* HeapOf(const ExternalBytes* where) {
  internal::HeapCore* core = memory::FindHeap(where);
  REEF_DCHECK(core != nullptr, "an ExternalBytes outside a managed object was given bytes",
              "make it a member of the object that owns them, or use Heap::AddExternalBytes");
  return core;
}

}  // namespace

void ExternalBytes::Resize(size_t bytes) {
  // Again, from where that has left it, if on_limit has resized it meanwhile; where it does so
  // every time the third is the last.
  for (int tries = 0; bytes != bytes_; ++tries) {
    internal::HeapCore* core = HeapOf(this);
    const size_t before = bytes_;
    if (core == nullptr) {
      bytes_ = bytes;
    } else if (bytes < before) {
      bytes_ = bytes;
      (void)internal::TakeExternal(core, before - bytes);
    } else {
      const size_t more = bytes - before;
      if (tries == 3 || !internal::AddExternal(core, more)) {
        internal::ThrowOutOfMemory(core, bytes);
      }
      if (bytes_ == before) {
        bytes_ = bytes;
      } else {
        (void)internal::TakeExternal(core, more);  // too much or too little by now
      }
    }
  }
}

}  // namespace reef
