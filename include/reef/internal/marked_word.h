// The word in the cell of a marked edge: an address with a mark in its lowest two bits.
//
// A plain edge's word is one with mark 0. Addresses of payloads are multiples of 8, so taking the
// mark off gives the target back, whatever the mark, and leaves a plain word as it is. Whoever
// reads cells of both kinds (the collector's clear phase, its scan of half-made objects, the
// verifier) therefore takes marks off everywhere.
#ifndef REEF_INTERNAL_MARKED_WORD_H_
#define REEF_INTERNAL_MARKED_WORD_H_

#include <cstdint>

#include "reef/internal/header.h"

namespace reef::internal {

inline constexpr uintptr_t kMarkBits = 3;
static_assert(Header::kBytes % (kMarkBits + 1) == 0 && alignof(Header) > kMarkBits);

inline void* TargetOf(void* word) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(word) & ~kMarkBits);
}
inline uint32_t MarkOf(const void* word) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(word) & kMarkBits);
}
// Bits of `mark` beyond the two are dropped.
inline void* WithMark(const void* payload, uint32_t mark) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(payload) | (mark & kMarkBits));
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_MARKED_WORD_H_
