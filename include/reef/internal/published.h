// The operations behind AtomicRef (kExt) and AtomicMember (kHeap), lib/object/published.cc.
//
// Each is a bracket: for its length the grace periods of published objects wait, so a header that
// is read from `cell` stays the header of that object until the bracket ends.
#ifndef REEF_INTERNAL_PUBLISHED_H_
#define REEF_INTERNAL_PUBLISHED_H_

#include <atomic>

#include "reef/internal/count.h"

namespace reef::internal {

// A new root to the current target, or null.
[[nodiscard]] void* LoadPublished(const std::atomic<void*>& cell);
// Counts a root to an object that Peek showed in a scope that is still open. False if it is dead.
[[nodiscard]] bool TryCountPeeked(void* payload);
// Takes over the caller's root to `payload`; returns the former target with a root to it.
[[nodiscard]] void* ExchangePublished(std::atomic<void*>& cell, Kind kind, void* payload);
// Replaces `expected` by `payload`, whose root it takes over, and drops the cell's reference to
// `expected`. False, and nothing changed, if the cell holds something else.
[[nodiscard]] bool CompareExchangePublished(std::atomic<void*>& cell, Kind kind, void* expected,
                                            void* payload);

}  // namespace reef::internal

#endif  // REEF_INTERNAL_PUBLISHED_H_
