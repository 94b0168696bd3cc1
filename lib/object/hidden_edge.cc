#include "lib/object/hidden_edge.h"

#include <atomic>
#include <new>

#include "lib/object/weak.h"
#include "lib/os/chaos.h"
#include "lib/os/fault.h"
#include "reef/internal/count.h"
#include "reef/internal/poison.h"
#include "reef/internal/slab.h"

namespace reef::object {
namespace {

using internal::Bracket;
using internal::Slab;

// The object's place, after making the table.
Edge* MakePlace(const Header* header) {
  Slab* slab = internal::SlabOf(header);
  Edge* table = slab->hidden_edges.load(std::memory_order_acquire);
  if (table == nullptr) {
    os::ThrowIfFaultDue();
    const size_t places = slab->capacity;
    // Freed by the layer below, without destructors: all edges are empty by then.
    auto* fresh = static_cast<Edge*>(::operator new(places * sizeof(Edge)));
    for (size_t i = 0; i < places; ++i) ::new (static_cast<void*>(fresh + i)) Edge;
    internal::ExpectNoLeak(fresh);
    // Release: the edges are constructed. Acquire: so are the others'.
    if (slab->hidden_edges.compare_exchange_strong(table, fresh, std::memory_order_acq_rel,
                                                   std::memory_order_acquire)) {
      table = fresh;
    } else {
      ::operator delete(fresh);
    }
  }
  return table + PlaceInSlab(slab, header);
}

}  // namespace

Edge* HiddenEdgeOf(const Header* header) {
  const Slab* slab = internal::SlabOf(header);
  Edge* table = slab->hidden_edges.load(std::memory_order_acquire);
  return table == nullptr ? nullptr : table + PlaceInSlab(slab, header);
}

bool SetHiddenEdge(Header* header, void* target) {
  Edge* edge = MakePlace(header);
  Slot* slot = internal::CurrentSlot();
  Header* due = nullptr;
  bool set = false;
  {
    // As Edge::Adopt of an empty edge, but that several threads may try at once.
    const Bracket bracket(slot);
    if (bracket.armed()) LogIfWhite(bracket, Header::Of(target));
    void* none = nullptr;
    // Release: the target's header is written. Acquire: so is the other's.
    set = edge->cell().compare_exchange_strong(none, target, std::memory_order_acq_rel,
                                               std::memory_order_acquire);
    REEF_CHAOS_POINT("hidden edge set, target not converted");
    // Only now: until here the caller's root keeps the target, and only the object's death takes it
    // out again, which the caller's reference to the object prevents.
    if (set) due = ConvertToHeap(bracket, Header::Of(target));
  }
  if (due != nullptr) Die(slot, due);
  return set;
}

void EndHiddenEdge(Header* header) {
  if (Edge* edge = HiddenEdgeOf(header)) edge->Reset();
}

}  // namespace reef::object
