// Hidden edges: one strong edge that an object can have without a field for it.
//
// What WeakKeyMap hangs on its keys. An edge as any other: counted, traced, cleared with its object
// when that is condemned, dropped after the object's destructor, when its members have gone. It
// stands at the object's place in a table of its slab, beside the weak cells, so that whoever may
// look at the object's header may also look at its hidden edge: the table goes with the slab's
// layout (I1). Only objects with a weak cell have one: WEAK in the header says where to look.
//
// It is set once in an object's life, by a holder of a reference, and never changed: what changes
// is behind it (lib/weak_key_map.cc). Leaves cannot have one, because nobody traces them.
#ifndef REEF_LIB_OBJECT_HIDDEN_EDGE_H_
#define REEF_LIB_OBJECT_HIDDEN_EDGE_H_

#include "reef/internal/check.h"
#include "reef/internal/edge.h"
#include "reef/internal/header.h"
#include "reef/internal/slot.h"
#include "reef/trace.h"

namespace reef::object {

using internal::Edge;
using internal::Header;
using internal::Slot;

// The place of the object's hidden edge, perhaps empty; null if its slab has none.
[[nodiscard]] Edge* HiddenEdgeOf(const Header* header);

// Points the hidden edge of an object, which the caller refers to and which is WEAK, at `target`,
// whose root it takes over; unless there is one already: then false, and nothing has happened.
// Throws std::bad_alloc when there is no memory for the table. Outside brackets.
bool SetHiddenEdge(Header* header, void* target);

// The destructor has run, the block is not yet FREE: the edge goes as a member does.
void EndHiddenEdge(Header* header);

// Shows the hidden edge, if there is one, as the object's Trace shows the others. For who may trace
// the object, or scan its payload.
inline void VisitHiddenEdge(const Header* header, Visitor& visitor) {
  // Acquire: the edge was set after WEAK. A stale word without it is as a stale edge: what was
  // stored since was logged.
  if (REEF_LIKELY((header->Shared(std::memory_order_acquire) & internal::kWeak) == 0)) return;
  if (const Edge* edge = HiddenEdgeOf(header)) visitor.VisitEdge(*edge);
}

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_HIDDEN_EDGE_H_
