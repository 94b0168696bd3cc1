// Which threads may wait for the collector thread, and where.
#include "lib/collector/collector.h"
#include "reef/internal/slot.h"

namespace reef::collector {

const char* WhyNotCollect() {
  const internal::Slot* slot = internal::CurrentSlot();
  if (slot->scope_depth != 0) return "Collect inside a ReadScope would wait for that scope";
  if (slot->user_code != 0 || slot->draining) {
    return "Collect inside a constructor, destructor, finalizer or callback cannot be complete";
  }
  if (IsCollectorThread()) return "Collect on the collector thread would wait for itself";
  return nullptr;
}

bool MayWaitForMemory() {
  const internal::Slot* slot = internal::CurrentSlot();
  return slot->scope_depth == 0 && !slot->draining && !IsCollectorThread();
}

}  // namespace reef::collector
