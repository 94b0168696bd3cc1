// The operations behind AtomicRef (kExt), AtomicMember and AtomicMarkedMember (kHeap),
// lib/object/published.cc.
//
// Each is a bracket: for its length the grace periods of published objects wait, so a header that
// is read from `cell` stays the header of that object until the bracket ends. What is in a cell is
// a word: the target's address, with a mark where the cell is one of a marked edge.
#ifndef REEF_INTERNAL_PUBLISHED_H_
#define REEF_INTERNAL_PUBLISHED_H_

#include <atomic>

#include "reef/internal/count.h"

namespace reef::internal {

// The current word, with a new root to its target.
[[nodiscard]] void* LoadPublished(const std::atomic<void*>& cell);
// Counts a root to an object that Peek showed in a scope that is still open. False if it is dead.
[[nodiscard]] bool TryCountPeeked(void* payload);
// The first word of a cell that no other thread can reach yet: takes over the caller's root to its
// target.
void InitPublished(std::atomic<void*>& cell, Kind kind, void* word);
// Takes over the caller's root to the target of `word`, and drops the cell's reference to the
// former target.
void StorePublished(std::atomic<void*>& cell, Kind kind, void* word);
// The same, but returns the former word with a root to its target.
[[nodiscard]] void* ExchangePublished(std::atomic<void*>& cell, Kind kind, void* word);
// Replaces `*expected` by `desired`, whose target's root it takes over, and drops the cell's
// reference to the expected target, of which the caller need not hold one. False, and no count
// changed, if the cell holds something else, which is then in `*expected`.
[[nodiscard]] bool CompareExchangePublished(std::atomic<void*>& cell, Kind kind, void** expected,
                                            void* desired);

}  // namespace reef::internal

#endif  // REEF_INTERNAL_PUBLISHED_H_
