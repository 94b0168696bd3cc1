#include "lib/inspect/statistics.h"

#include <mutex>
#include <shared_mutex>

#include "lib/collector/collector.h"
#include "lib/collector/pacer.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/threads/rendezvous.h"

namespace reef::inspect {

HeapStats TakeStatistics(collector::CollectedHeap* heap) {
  HeapStats stats;
  std::shared_lock<std::shared_mutex> lock(heap->layout);
  heap->space->ForEachSlab([&stats](const internal::Slab& slab) {
    const uint64_t used = memory::Space::UsedBlocks(slab);
    const uint64_t bytes = used * slab.block_bytes;
    if (slab.kind == internal::SlabKind::kRaw) {
      stats.raw_blocks += used;
      stats.raw_bytes += bytes;
    } else {
      stats.live_objects += used;
      stats.live_bytes += bytes;
      if (internal::IsTraced(slab.kind)) stats.uncollected_bytes += bytes;
    }
    const uint64_t carved = slab.carved.load(std::memory_order_relaxed);
    if (carved > used) stats.cached_bytes += (carved - used) * slab.block_bytes;
  });
  lock.unlock();
  stats.committed_bytes = heap->space->committed_bytes();
  stats.resident_bytes = heap->space->ResidentBytes();
  stats.reserved_bytes = heap->space->reserved_bytes();
  stats.external_bytes = heap->space->external_bytes();
  stats.uncollected_bytes += stats.external_bytes;
  stats.soft_limit_bytes = heap->space->soft_bytes();
  stats.max_bytes = heap->space->limit_bytes();
  {
    const std::lock_guard<std::mutex> emergencies(heap->emergencies.mutex);
    stats.emergencies = heap->emergencies.collections;
    stats.emergencies_refused = heap->emergencies.refusals;
  }
  stats.suspects = collector::CountSuspects();
  stats.pending_revocations = object::CountPending();
  stats.retired_bytes = object::RetiredBytes();
  stats.longest_rendezvous = threads::LongestRendezvous();
  stats.longest_bracket = threads::LongestBracket();
  collector::FillStats(heap, &stats);
  return stats;
}

}  // namespace reef::inspect
