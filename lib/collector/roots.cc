#include "lib/collector/roots.h"

namespace reef::collector {
namespace {

using internal::kPublished;
using internal::Stage;

enum class Verdict { kNo, kCounted, kConservative };

Verdict Judge(const Header* header, bool published_too) {
  switch (header->GetStage()) {
    case Stage::kFree:
      return Verdict::kNo;
    case Stage::kLive:
      break;
    case Stage::kDying:
      return Verdict::kCounted;
    case Stage::kBuilding:
    case Stage::kDestroying:
      return Verdict::kConservative;
  }
  if (IsRoot(header)) return Verdict::kCounted;
  const uint64_t word = header->Shared(std::memory_order_acquire);
  if (published_too && (word & kPublished) != 0) return Verdict::kConservative;
  return Verdict::kNo;
}

}  // namespace

uint64_t ScanRoots(const Space& space, uint8_t black, bool published_too, Marker* marker,
                   bool* conservative, void (*poll)()) {
  uint64_t roots = 0;
  ForEachTracedSlab(space, [&](const Slab& slab) {
    poll();
    const size_t ahead = 8 * slab.block_bytes;
    ForEachBlock(slab, [&](Header* header) {
      __builtin_prefetch(reinterpret_cast<const char*>(header) + ahead);
      const uint8_t colour = header->Colour();
      if (colour == black) return;
      if (colour == internal::kFrozenColour) {
        // A root, whatever refers to it. FREE: the colour of the last life.
        if (header->GetStage() == Stage::kFree) return;
        marker->AddFrozen(header);
        ++roots;
        return;
      }
      const Verdict verdict = Judge(header, published_too);
      if (verdict == Verdict::kNo) return;
      marker->Push(header);
      ++roots;
      if (verdict == Verdict::kConservative) *conservative = true;
    });
  });
  marker->FlushFrozen();
  return roots;
}

}  // namespace reef::collector
