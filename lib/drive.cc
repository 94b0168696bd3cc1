// The façade of reef/drive.h.
#include "reef/drive.h"

#include "lib/collector/collector.h"
#include "lib/collector/gate.h"
#include "reef/heap.h"

namespace reef {

void SetCollectorDriven(bool driven) {
  (void)DefaultHeap();  // the collector's thread exists with the first heap
  collector::SetDriven(driven);
}

bool IsCollectorDriven() noexcept { return collector::IsDriven(); }

absl::StatusOr<bool> DriveCollector(std::chrono::nanoseconds budget) {
  if (collector::IsCollectorThread()) {
    return absl::FailedPreconditionError(
        "DriveCollector on the collector's own thread would wait "
        "for itself");
  }
  if (!collector::IsDriven()) {
    return absl::FailedPreconditionError(
        "DriveCollector, but the collector is not driven: SetCollectorDriven(true), or "
        "REEF_COLLECTOR_THREAD=0 before the first heap");
  }
  return collector::Drive(budget);
}

}  // namespace reef
