#include "lib/object/dying.h"

#include <atomic>

#include "lib/object/finalizer.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/object/subject.h"
#include "lib/object/weak.h"
#include "lib/os/chaos.h"
#include "lib/threads/hazard.h"
#include "reef/internal/check.h"
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

// False if a marker is tracing the object.
REEF_INLINE bool RunDestructor(Slot* slot, Header* header) {
  const TypeInfo* type = internal::TypeInfoOf(header);
  // DESTROYING already: died private, or was handed over by a marker's hazard.
  if (REEF_UNLIKELY(header->GetStage() != Stage::kDestroying) && type->traced &&
      !BeginDestruction(slot, header)) {
    return false;
  }
  type->destroy(header->Payload());
  return true;
}

// An object that has a weak cell, or its block, whose grace period has passed.
REEF_NOINLINE void DestroyWithCell(Slot* slot, Header* header) {
  if (header->GetStage() == Stage::kFree) {
    header->SetShared(0);
    FreeObject(slot, header);
    return;
  }
  EndWeak(header);
  if (!RunDestructor(slot, header)) return;
  header->SetStage(Stage::kFree);
  internal::PoisonBlock(header);
  Retire(slot, header);
}

// The first object of the list is destroyed; `word` is its shared word.
REEF_INLINE void Destroy(Slot* slot, Header* header, uint64_t word) {
  if (REEF_UNLIKELY((word & internal::kWeak) != 0)) return DestroyWithCell(slot, header);
  if (RunDestructor(slot, header)) FreeObject(slot, header);
}

void DestroyAll(Slot* slot) {
  for (Header *header = slot->dying.TakeAll(), *next; header != nullptr; header = next) {
    const uint64_t word = header->Shared(std::memory_order_relaxed);
    next = Header::LinkOf(word);
    Destroy(slot, header, word);
    // Otherwise this thread would work on another thread's list from here on.
    REEF_DCHECK(internal::tls_slot == slot,
                "the destructor of a managed object came back on another thread",
                "a destructor must not switch to a fiber that another thread may resume");
    // What this destructor has dropped comes next, the first one first.
    next = slot->dying.TakeAllBefore(next);
  }
}

}  // namespace

void PushDying(Slot* slot, Header* header) {
  header->SetLink(nullptr);
  slot->dying.Append(header);
}

void DrainList(Slot* slot) {
  slot->draining = true;
  do {
    DestroyAll(slot);
  } while (REEF_UNLIKELY(slot->first_finalizer != nullptr) && RunNextFinalizer(slot));
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
  if (REEF_UNLIKELY((word & kDead) == 0)) {
    // The count came to zero, and the finalizer was taken; the root that was counted is the list's.
    object::QueueFinalizer(slot, header);
  } else if (REEF_UNLIKELY((word & kPublished) != 0)) {
    object::Retire(slot, header);
    return;
  } else {
    object::PushDying(slot, header);
  }
  object::Drain(slot);
}

void FreeUnborn(Header* header) {
  // Nobody may hold a reference: the constructor did not return. It leaves as it came, with the one
  // root that its maker would have got. The whole word, not the sum: a handle that another thread
  // has dropped may be pending, and one that was published may just be read. (Weak handles, which
  // checked builds diagnose where they are made, do no harm.)
  const uint32_t counts = header->Local(std::memory_order_acquire) & kLocalCounts;
  const uint64_t seen = header->Shared(std::memory_order_acquire);
  const uint64_t word = seen & ~(kFinalizable | kWeak);
  const bool as_born =
      (word == kSharedInit && counts == kLocalExt) || word == (kSharedInit | kMerged) + kSharedExt;
  REEF_CHECK_OF(as_born, object::SubjectOf(header),
                "a constructor threw after it had handed out a reference to its object",
                "make references to an object once it is made, in a factory function for example");
  Slot* slot = CurrentSlot();
  if (REEF_UNLIKELY((seen & kWeak) != 0)) {
    header->SetLocal(0);
    header->SetShared(kSharedInit | kMerged | kDead | kWeak);
    object::EndWeak(header);
    header->SetStage(Stage::kFree);
    object::Retire(slot, header);
    return;
  }
  object::FreeObject(slot, header);
}

}  // namespace reef::internal
