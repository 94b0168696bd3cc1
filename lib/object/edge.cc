// Edges that change: the common death of what an edge was the last reference to, and the general
// cases, out of the way of the common ones' registers.
#include "reef/internal/edge.h"

#include <atomic>

#include "lib/object/bias.h"
#include "lib/object/dying.h"
#include "lib/os/chaos.h"
#include "reef/internal/count.h"
#include "reef/internal/slot.h"

namespace reef::internal {

void AdoptGeneral(Edge* edge, void* payload) { edge->Change<true>(payload); }

void DropEdgeGeneral(std::atomic<void*>* edge, Header* header) {
  Slot* slot = CurrentSlot();
  Header* due = nullptr;
  {
    const Bracket bracket(slot);
    if (bracket.armed()) LogIfWhite(bracket, header);
    edge->store(nullptr, std::memory_order_release);
    REEF_CHAOS_POINT("edge emptied, target not dropped");
    due = DropHeap(bracket, header);
  }
  if (due != nullptr) Die(slot, due);
}

void DropEdge(std::atomic<void*>* edge, Header* header) {
  Slot* slot = tls_slot;
  const uint32_t mine = slot->me() | kLocalHeap;  // nothing is biased to the null slot
  // Read before the bracket, acted upon inside it: only this thread can change either word while
  // they say so.
  if (REEF_LIKELY(header->Local(std::memory_order_relaxed) == mine && IsPrivate(header) &&
                  CountUnsampledDeath(slot))) {
    bool killed = false;
    REEF_CHAOS_POINT("private by its look, bracket not entered");
    {
      const BareBracket bracket(slot);
      killed = bracket.idle();
      if (REEF_LIKELY(killed)) {
        edge->store(nullptr, std::memory_order_release);
        REEF_CHAOS_POINT("edge emptied, target not killed");
        object::KillPrivate(slot, header);
      }
    }
    if (REEF_LIKELY(killed)) return object::Drain(slot);
  }
  DropEdgeGeneral(edge, header);
}

}  // namespace reef::internal
