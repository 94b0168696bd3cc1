#include "lib/exhaustion.h"

#include <exception>

#include "lib/collector/collected_heap.h"
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

void CallOnLimit(const CollectedHeap& heap, const LimitReport& report) noexcept {
  t_reporting = true;
  try {
    heap.on_limit(report);
  } catch (...) {
    object::ReportUnraisable({.phase = "on_limit"}, std::current_exception());
  }
  t_reporting = false;
}

}  // namespace

Relief RelieveHeap(HeapCore* core, uint64_t bytes) {
  if (bytes > Space::Of(core)->max_bytes() || !collector::MayWaitForMemory()) {
    return Relief::kRefused;
  }
  return collector::Relieve(CollectedHeap::Of(core));
}

bool ReportLimit(HeapCore* core, uint64_t bytes, bool collected) {
  CollectedHeap* heap = CollectedHeap::Of(core);
  if (!heap->on_limit || t_reporting) return false;
  const Space& space = *heap->space;
  CallOnLimit(*heap, {.requested_bytes = bytes,
                      .committed_bytes = space.committed_bytes(),
                      .external_bytes = space.external_bytes(),
                      .max_bytes = space.max_bytes(),
                      .collected = collected});
  if (collector::MayWaitForMemory()) collector::ReturnFreeMemory(heap);
  return true;
}

bool AddExternal(HeapCore* core, int64_t delta) {
  Space* space = Space::Of(core);
  if (delta < 0) {
    space->UnchargeExternal(0 - static_cast<uint64_t>(delta));
    return true;
  }
  const auto bytes = static_cast<uint64_t>(delta);
  return TakeOrRelieve(core, bytes, [=] { return space->ChargeExternal(bytes); });
}

}  // namespace reef::internal

namespace reef {
namespace {

internal::HeapCore* HeapOf(const ExternalBytes* where) {
  internal::HeapCore* core = memory::FindHeap(where);
  REEF_CHECK(core != nullptr, "an ExternalBytes outside a managed object was given bytes",
             "make it a member of the object that owns them, or use Heap::AddExternalBytes");
  return core;
}

}  // namespace

void ExternalBytes::Resize(size_t bytes) {
  if (bytes == bytes_) return;
  constexpr size_t kMost = size_t{1} << 62;
  internal::HeapCore* core = HeapOf(this);
  if (bytes > kMost || !internal::AddExternal(core, static_cast<int64_t>(bytes - bytes_))) {
    internal::ThrowOutOfMemory(core, bytes);
  }
  bytes_ = bytes;
}

}  // namespace reef
