#include "lib/object/sole.h"

#include <atomic>

#include "lib/os/chaos.h"

namespace reef::object {

using internal::kClaimed;
using internal::kLocalCounts;
using internal::kNobody;
using internal::kOwnerShift;
using internal::kRevoking;

bool ClaimSole(internal::Header* header, internal::Kind kind) {
  const uint32_t unit = kind == internal::Kind::kExt ? internal::kLocalExt : internal::kLocalHeap;
  uint32_t local = header->Local(std::memory_order_relaxed);
  const internal::Owner owner = internal::OwnerOf(local);
  if ((local & kLocalCounts) != unit || owner == kNobody || owner == kRevoking ||
      owner == kClaimed) {
    return false;
  }
  const uint32_t claimed = (kClaimed << kOwnerShift) | unit;
  // Acquire: what the owner did to the object comes before its destructor.
  if (!header->CompareExchangeLocal(&local, claimed)) return false;
  REEF_CHAOS_POINT("sole claim, shared not yet read");
  if (!internal::IsPrivate(header)) return false;
  REEF_CHAOS_POINT("sole claim, local not yet read again");
  return header->Local(std::memory_order_acquire) == claimed;
}

}  // namespace reef::object
