#include "lib/collector/report.h"

namespace reef::collector {

void AddReport(CollectionReport* sum, const CollectionReport& report) {
  sum->objects += report.objects;
  sum->bytes += report.bytes;
  sum->finalized += report.finalized;
  sum->marked += report.marked;
  sum->roots += report.roots;
  sum->logged += report.logged;
  sum->cycles += report.cycles;
  sum->aborted += report.aborted;
  sum->kept += report.kept;
  for (int i = 0; i < kPhases; ++i) sum->phase_time[i] += report.phase_time[i];
  sum->total_time += report.total_time;
}

CollectionReport Difference(const CollectionReport& sum, const CollectionReport& before) {
  CollectionReport report = sum;
  report.objects -= before.objects;
  report.bytes -= before.bytes;
  report.finalized -= before.finalized;
  report.marked -= before.marked;
  report.roots -= before.roots;
  report.logged -= before.logged;
  report.cycles -= before.cycles;
  report.aborted -= before.aborted;
  report.kept -= before.kept;
  for (int i = 0; i < kPhases; ++i) report.phase_time[i] -= before.phase_time[i];
  report.total_time -= before.total_time;
  return report;
}

void FillFigures(const CollectedHeap& heap, HeapStats* stats) {
  stats->collections = heap.totals.cycles;
  stats->collections_aborted = heap.totals.aborted;
  stats->garbage_objects = heap.totals.objects;
  stats->garbage_bytes = heap.totals.bytes;
  for (int i = 0; i < kPhases; ++i) stats->phase_time[i] = heap.totals.phase_time[i];
  stats->last_collection = heap.last;
  if (stats->uncollected_bytes > heap.bytes_left) {
    stats->uncollected_bytes -= heap.bytes_left;
  } else {
    stats->uncollected_bytes = 0;
  }
}

}  // namespace reef::collector
