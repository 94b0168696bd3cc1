#include "lib/object/dying.h"

#include <atomic>

#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/os/chaos.h"
#include "lib/threads/hazard.h"
#include "reef/internal/count.h"
#include "reef/internal/slab.h"
#include "reef/internal/type_info.h"

namespace reef::object {

using internal::Bracket;
using internal::Stage;
using internal::TypeInfo;

namespace {

// Sequentially consistent when raised, before the list is emptied; release when lowered, after the
// blocks are free. Who finds the list empty (acquire) and then reads 0 here finds the work done.
std::atomic<uint64_t> g_in_hand{0};

// False if a marker is tracing the object: the collector destroys it then.
bool BeginDestruction(Slot* slot, Header* header) {
  const Bracket bracket(slot);
  if (REEF_LIKELY(!bracket.armed())) {
    header->SetStage(Stage::kDestroying);
    return true;
  }
  header->ExchangeStage(Stage::kDestroying);
  REEF_CHAOS_POINT("destroying, hazards not yet read");
  if (REEF_LIKELY(!threads::IsHazardous(header))) return true;
  threads::HandOver(header);
  return false;
}

REEF_INLINE void Destroy(Slot* slot, Header* header) {
  const TypeInfo* type = internal::TypeInfoOf(header);
  // DESTROYING already: died private, or was handed over by a marker's hazard.
  if (REEF_UNLIKELY(header->GetStage() != Stage::kDestroying) && type->traced &&
      !BeginDestruction(slot, header)) {
    return;
  }
  type->destroy(header->Payload());
  FreeObject(slot, header);
}

}  // namespace

void PushDying(Slot* slot, Header* header) {
  header->SetLink(nullptr);
  slot->dying.Append(header);
}

void DrainList(Slot* slot) {
  slot->draining = true;
  for (Header *header = slot->dying.TakeAll(), *next; header != nullptr; header = next) {
    next = header->Link();
    Destroy(slot, header);
    // What this destructor has dropped comes next, the first one first.
    next = slot->dying.TakeAllBefore(next);
  }
  slot->draining = false;
  if (REEF_UNLIKELY(slot->in_hand_due != 0)) {
    g_in_hand.fetch_sub(slot->in_hand_due, std::memory_order_release);
    slot->in_hand -= slot->in_hand_due;
    slot->in_hand_due = 0;
  }
}

InHand::InHand(Slot* slot) : slot_(slot) {
  g_in_hand.fetch_add(1, std::memory_order_seq_cst);
  ++slot->in_hand;
}

InHand::~InHand() {
  if (slot_->draining) {
    ++slot_->in_hand_due;
  } else {
    g_in_hand.fetch_sub(1, std::memory_order_release);
    --slot_->in_hand;
  }
}

void ForgetOthersInHand(const Slot* slot) {
  g_in_hand.store(slot->in_hand, std::memory_order_relaxed);
}

uint64_t CountInHand() { return g_in_hand.load(std::memory_order_acquire); }

}  // namespace reef::object

namespace reef::internal {

void Die(Slot* slot, Header* header) {
  if (REEF_UNLIKELY(header == object::kRevocationDue)) {
    object::RevokePending(slot, *slot);
    return;
  }
  const uint64_t word = header->Shared(std::memory_order_relaxed);
  if (REEF_UNLIKELY((word & (kPublished | kWeak)) != 0)) {
    object::Retire(slot, header);
    return;
  }
  object::PushDying(slot, header);
  object::Drain(slot);
}

void FreeUnborn(Header* header) {
  // Nobody else can hold a reference: the constructor did not return. It leaves as it came.
  object::FreeObject(CurrentSlot(), header);
}

}  // namespace reef::internal
