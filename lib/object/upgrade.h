// Upgrades: counting a root to an object that was found without holding a reference.
#ifndef REEF_LIB_OBJECT_UPGRADE_H_
#define REEF_LIB_OBJECT_UPGRADE_H_

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::object {

// Counts a root, inside a bracket. False if the object is dead. The header must still be the
// object's until the bracket ends: published objects and those with a weak cell keep theirs for a
// grace period after their death. (lib/object/published.cc says why this suffices.)
[[nodiscard]] bool TryIncrementExt(internal::Slot* slot, internal::Header* header);

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_UPGRADE_H_
