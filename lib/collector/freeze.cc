#include "lib/collector/freeze.h"

namespace reef::collector {
namespace {

using internal::kFrozenColour;
using internal::Stage;

constexpr uint8_t kNoCycle = 0;

bool IsFrozen(const Header* header) {
  return header->Colour() == kFrozenColour && header->GetStage() == Stage::kLive;
}

}  // namespace

uint64_t FreezeAll(const Space& space) {
  uint64_t frozen = 0;
  ForEachTracedSlab(space, [&](const Slab& slab) {
    ForEachBlock(slab, [&](Header* header) {
      if (header->GetStage() != Stage::kLive) return;
      // Not if it is so already: a page without a write stays shared with the parent of a fork.
      if (header->Colour() != kFrozenColour) header->SetColour(kFrozenColour);
      ++frozen;
    });
  });
  return frozen;
}

uint64_t UnfreezeAll(const Space& space) {
  uint64_t thawed = 0;
  ForEachTracedSlab(space, [&](const Slab& slab) {
    ForEachBlock(slab, [&](Header* header) {
      if (header->Colour() != kFrozenColour) return;
      if (header->GetStage() == Stage::kLive) ++thawed;
      header->SetColour(kNoCycle);
    });
  });
  return thawed;
}

uint64_t CountFrozen(const Space& space) {
  uint64_t frozen = 0;
  ForEachTracedSlab(space, [&frozen](const Slab& slab) {
    ForEachBlock(slab, [&frozen](const Header* header) { frozen += IsFrozen(header) ? 1u : 0u; });
  });
  return frozen;
}

}  // namespace reef::collector
