#include "lib/collector/pacer.h"

#include <algorithm>

#include "lib/threads/slot_registry.h"

namespace reef::collector {
namespace {

// Suspects without growth: cycles of a program that allocates little are collected this often.
constexpr Nanoseconds kQuietInterval = std::chrono::seconds(2);
// Growth, in multiples of the goal, up to which the share of a core is kept, and from which on it
// is no longer looked at.
constexpr double kShareGoals = 2;
constexpr double kMostGoals = 4;

// Growth that makes a collection due.
uint64_t GrowthGoal(const CollectedHeap& heap) {
  const Pacing& pacing = heap.pacing;
  const int percent =
      pacing.scaled_percent != 0 ? pacing.scaled_percent : heap.options.growth_percent;
  return std::max(heap.options.growth_bytes,
                  pacing.traced_bytes / 100 * static_cast<uint64_t>(percent));
}

}  // namespace

uint64_t CountSuspects() {
  uint64_t sum = 0;
  threads::ForEachSlot(
      [&sum](const internal::Slot& slot) { sum += slot.suspects.load(std::memory_order_relaxed); });
  return sum;
}

uint64_t TracedBytes(const Space& space) {
  uint64_t bytes = 0;
  ForEachTracedSlab(
      space, [&bytes](const Slab& slab) { bytes += Space::UsedBlocks(slab) * slab.block_bytes; });
  return bytes;
}

bool IsDue(const CollectedHeap& heap, Nanoseconds now) {
  const Pacing& pacing = heap.pacing;
  if (!heap.options.automatic) return false;
  // One that was aborted, or kept something only conservatively, is repeated even so, but not at
  // once: a ReadScope that stays open must not keep the collector busy.
  if (!pacing.due && CountSuspects() == pacing.suspects) return false;
  const Nanoseconds since = now - pacing.ended;
  const Nanoseconds rest =
      pacing.duration * (100 - heap.options.cpu_percent) / heap.options.cpu_percent;
  if (since >= rest && (since > kQuietInterval || heap.space->IsAboveSoftLimit())) return true;
  const uint64_t bytes = PacedBytes(*heap.space);
  const uint64_t grown = bytes > pacing.traced_bytes ? bytes - pacing.traced_bytes : 0;
  const uint64_t goal = GrowthGoal(heap);
  if (grown <= goal) return false;
  // The share of a core holds as long as growth stays near the goal. Beyond it the rest shrinks, to
  // nothing at kMostGoals: garbage must not pile up because collecting it takes long.
  const double goals =
      static_cast<double>(grown) / static_cast<double>(std::max<uint64_t>(goal, 1));
  if (goals >= kMostGoals) return true;
  const double kept = std::min(1.0, (kMostGoals - goals) / (kMostGoals - kShareGoals));
  return since >= std::chrono::duration_cast<Nanoseconds>(rest * kept);
}

void NoteCollection(CollectedHeap* heap, const CollectionReport& report, uint64_t suspects_before,
                    uint64_t bytes_before, bool again, uint64_t external_before) {
  Pacing& pacing = heap->pacing;
  pacing.suspects = suspects_before;
  pacing.traced_bytes = PacedBytes(*heap->space);
  pacing.due = again;
  pacing.ended = os::Now();
  pacing.duration = report.total_time;
  int percent = pacing.scaled_percent != 0 ? pacing.scaled_percent : heap->options.growth_percent;
  // Garbage gives its external bytes back as well; so does what was dropped meanwhile, which can
  // only make the next collection come earlier.
  const uint64_t external = heap->space->external_bytes();
  const uint64_t freed =
      report.bytes + (external_before > external ? external_before - external : 0);
  const uint64_t yield = bytes_before == 0 ? 0 : freed * 100 / bytes_before;
  if (yield < 5) percent *= 2;
  if (yield > 30) percent /= 2;
  pacing.scaled_percent = std::clamp(percent, std::max(heap->options.growth_percent / 2, 1),
                                     heap->options.growth_percent * 4);
}

void NoteAborted(CollectedHeap* heap) {
  heap->pacing.due = true;
  ++heap->aborts_in_row;
}

}  // namespace reef::collector
