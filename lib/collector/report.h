// Sums of collection reports: of a heap's whole life, and of a part of it; and what of them a
// heap's figures show.
#ifndef REEF_LIB_COLLECTOR_REPORT_H_
#define REEF_LIB_COLLECTOR_REPORT_H_

#include "lib/collector/collected_heap.h"
#include "reef/stats.h"

namespace reef::collector {

void AddReport(CollectionReport* sum, const CollectionReport& report);
// What a sum has grown by since it was `before`.
CollectionReport Difference(const CollectionReport& sum, const CollectionReport& before);

// Fills in what the collector knows; see FillStats (collector.h). Under the collector's mutex.
void FillFigures(const CollectedHeap& heap, HeapStats* stats);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_REPORT_H_
