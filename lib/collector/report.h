// Sums of collection reports: of a heap's whole life, and of a part of it.
#ifndef REEF_LIB_COLLECTOR_REPORT_H_
#define REEF_LIB_COLLECTOR_REPORT_H_

#include "reef/stats.h"

namespace reef::collector {

void AddReport(CollectionReport* sum, const CollectionReport& report);
// What a sum has grown by since it was `before`.
CollectionReport Difference(const CollectionReport& sum, const CollectionReport& before);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_REPORT_H_
