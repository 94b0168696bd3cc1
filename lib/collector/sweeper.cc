#include "lib/collector/sweeper.h"

#include "lib/memory/thread_cache.h"
#include "lib/object/dying.h"
#include "lib/object/hidden_edge.h"
#include "lib/object/revocation.h"
#include "lib/os/chaos.h"
#include "lib/os/fork.h"
#include "reef/internal/count.h"
#include "reef/internal/marked_word.h"
#include "reef/internal/poison.h"
#include "reef/internal/type_info.h"
#include "reef/trace.h"

namespace reef::collector {
namespace {

using internal::Bracket;
using internal::Edge;
using internal::kDead;
using internal::kMerged;
using internal::Slot;
using internal::Stage;

bool IsDead(const Header* header) {
  return (header->Shared(std::memory_order_acquire) & kDead) != 0;
}

class ClearVisitor : public Visitor {
 public:
  explicit ClearVisitor(Slot* slot) : Visitor(&ClearVisitor::OnEdge), slot_(slot) {}

 private:
  static void OnEdge(Visitor& visitor, Edge& edge) {
    static_cast<ClearVisitor&>(visitor).Clear(edge);
  }

  void Clear(Edge& edge) {
    void* payload = internal::TargetOf(edge.Clear());
    if (payload == nullptr) return;
    Header* target = Header::Of(payload);
    // A target that lives is not DEAD: this very edge is counted.
    if (IsDead(target)) return;
    Header* due = nullptr;
    {
      const Bracket bracket(slot_);
      due = internal::DecrementInBracket(bracket, target, internal::Kind::kHeap);
    }
    // The slot is draining: what died waits on its worklist.
    if (due != nullptr) internal::Die(slot_, due);
  }

  Slot* const slot_;
};

// A chain of freed blocks of one slab.
struct Chain {
  void* first = nullptr;
  void* last = nullptr;
  uint32_t count = 0;
};

void FreeInto(Chain* chain, const Slab& slab, Header* header) {
  header->SetStage(Stage::kFree);
  internal::PoisonBlock(header);
  internal::LinkOf(header, slab.link_offset) = chain->first;
  chain->first = header;
  if (chain->last == nullptr) chain->last = header;
  ++chain->count;
}

void FreeSlabGarbage(Slab& slab, uint8_t black, Slot* slot) {
  Chain chain;
  ForEachBlock(slab, [&](Header* header) {
    if (!IsCondemned(header, black)) return;
    header->SetStage(Stage::kDestroying);
    internal::TypeInfoOf(header)->destroy(header->Payload());
    os::PassWindow();
    // Its block waits for nobody (lib/object/weak.h).
    header->SetShared(0);
    if (slab.run_slabs != 0) {
      object::FreeObject(slot, header);
    } else {
      FreeInto(&chain, slab, header);
    }
  });
  if (chain.count != 0) memory::FreeChain(slot, &slab, chain.first, chain.last, chain.count);
}

}  // namespace

bool IsCondemned(const Header* header, uint8_t black) {
  return header->GetStage() == Stage::kLive && IsWhite(header, black) && IsDead(header);
}

void Condemn(const Space& space, uint8_t black, CollectionReport* report, ClearedCells* cells,
             void (*poll)()) {
  ForEachTracedSlab(space, [&](Slab& slab) {
    // What it does, other threads may be doing at this moment: it reaches nothing white (I7), what
    // it makes is black, and slabs keep their layout.
    poll();
    uint64_t found = 0;
    const size_t ahead = 8 * slab.block_bytes;
    ForEachBlock(slab, [&](Header* header) {
      __builtin_prefetch(reinterpret_cast<const char*>(header) + ahead);
      // The stage first (acquire): a block that is born in between is LIVE only after its colour
      // was written, and that is black.
      if (header->GetStage() != Stage::kLive || !IsWhite(header, black) || IsDead(header)) return;
      REEF_DCHECK(!IsRoot(header), "a root was condemned", "this is a bug in Reef's marking");
      // No live header: a handle that its destructor makes must not count as an owner.
      header->SetLocal(0);
      const uint64_t word = header->SetFlags(kDead | kMerged);
      if (REEF_UNLIKELY((word & internal::kWeak) != 0)) cells->Add(header);
      ++found;
    });
    slab.has_garbage = found != 0;
    report->objects += found;
    report->bytes += found * slab.block_bytes;
  });
}

void ClearGarbage(const Space& space, uint8_t black, Slot* slot, void (*poll)()) {
  ClearVisitor visitor(slot);
  ForEachTracedSlab(space, [&](Slab& slab) {
    if (!slab.has_garbage) return;
    // May carry out deaths that were listed: what dies by clearing was not white, so what it
    // reaches was not condemned.
    poll();
    // Deaths are listed, not carried out in the middle of somebody's Trace.
    slot->draining = true;
    ForEachBlock(slab, [&](Header* header) {
      if (!IsCondemned(header, black)) return;
      internal::TypeInfoOf(header)->trace(header->Payload(), visitor);
      object::VisitHiddenEdge(header, visitor);
    });
    slot->draining = false;
  });
}

void FreeGarbage(const Space& space, uint8_t black, Slot* slot, void (*poll)()) {
  REEF_CHAOS_POINT("garbage cleared, not yet freed");
  {
    const os::ForkWindow window;
    object::Drain(slot);
  }
  ForEachTracedSlab(space, [&](Slab& slab) {
    if (!slab.has_garbage) return;
    slab.has_garbage = false;
    poll();
    const os::ForkWindow window;
    FreeSlabGarbage(slab, black, slot);
  });
}

}  // namespace reef::collector
