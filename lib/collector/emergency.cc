#include "lib/collector/emergency.h"

#include <algorithm>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "lib/collector/collector.h"
#include "lib/collector/control.h"

namespace reef::collector {
namespace {

// Freed less than held / this: futile.
constexpr uint64_t kFutileShare = 64;
constexpr int kFutileInRow = 2;
// Less than held / this: what it took is taken from the allowance.
constexpr uint64_t kLeanShare = 8;

// Half of the time that has passed comes back, up to what there was at first.
void Refill(Emergencies* emergencies, os::Nanoseconds now) {
  const os::Nanoseconds passed = now - std::exchange(emergencies->refilled, now);
  emergencies->allowance = std::min(Emergencies::kAllowance, emergencies->allowance + passed / 2);
}

// Bytes of blocks in use, of all kinds, and external bytes.
uint64_t HeldBytes(CollectedHeap* heap) {
  uint64_t bytes = heap->space->external_bytes();
  const std::shared_lock<std::shared_mutex> lock(heap->layout);
  heap->space->ForEachSlab(
      [&bytes](const Slab& slab) { bytes += Space::UsedBlocks(slab) * slab.block_bytes; });
  return bytes;
}

}  // namespace

bool MayStartEmergency(Emergencies* emergencies, os::Nanoseconds now) {
  const std::lock_guard<std::mutex> lock(emergencies->mutex);
  Refill(emergencies, now);
  if (now >= emergencies->refused_until && emergencies->allowance.count() > 0) return true;
  ++emergencies->refusals;
  return false;
}

Relief NoteEmergency(Emergencies* emergencies, os::Nanoseconds start, os::Nanoseconds end,
                     uint64_t held, uint64_t freed, int cpu_percent) {
  const Relief relief = freed < held / kFutileShare ? Relief::kFutile : Relief::kFreed;
  const std::lock_guard<std::mutex> lock(emergencies->mutex);
  if (start < emergencies->last_end) return relief;
  ++emergencies->collections;
  emergencies->last_end = end;
  Refill(emergencies, end);
  if (freed < held / kLeanShare) emergencies->allowance -= end - start;
  emergencies->futile_in_row = relief == Relief::kFutile ? emergencies->futile_in_row + 1 : 0;
  if (emergencies->futile_in_row >= kFutileInRow) {
    emergencies->refused_until = end + (end - start) * (100 - cpu_percent) / cpu_percent;
  }
  return relief;
}

Relief Relieve(CollectedHeap* heap) {
  const Nanoseconds start = os::Now();
  if (!MayStartEmergency(&heap->emergencies, start)) {
    ReturnFreeMemory(heap);
    return Relief::kRefused;
  }
  const uint64_t before = HeldBytes(heap);
  const std::optional<CollectionReport> report = CollectForAllocation(heap);
  if (!report) return Relief::kRefused;
  const uint64_t after = HeldBytes(heap);
  const uint64_t freed = std::max(report->bytes, before > after ? before - after : 0);
  return NoteEmergency(&heap->emergencies, start, os::Now(), before, freed,
                       heap->control->options().cpu_percent);
}

}  // namespace reef::collector
