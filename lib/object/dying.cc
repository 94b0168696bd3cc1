#include "lib/object/dying.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "lib/object/finalizer.h"
#include "lib/object/hidden_edge.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/object/subject.h"
#include "lib/object/surplus.h"
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
  if (slot->unasked && HasCallbacks(header) && MayLeaveUnasked()) {
    header->SetLink(nullptr);
    return LeaveDead(header);
  }
  EndWeak(header);
  if (!RunDestructor(slot, header)) return;
  EndHiddenEdge(header);
  header->SetStage(Stage::kFree);
  internal::PoisonBlock(header);
  Retire(slot, header);
}

// The first object of the list is destroyed; `word` is its shared word.
REEF_INLINE void Destroy(Slot* slot, Header* header, uint64_t word) {
  if (REEF_UNLIKELY((word & internal::kWeak) != 0)) return DestroyWithCell(slot, header);
  if (RunDestructor(slot, header)) FreeObject(slot, header);
}

// Destroys `header`, what is linked from it, and what that drops, until `left`, which it counts
// down, is 0. Returns the rest.
REEF_INLINE Header* DestroyFrom(Slot* slot, Header* header, uint64_t* left) {
  while (header != nullptr) {
    const uint64_t word = header->Shared(std::memory_order_relaxed);
    Destroy(slot, header, word);
    // Otherwise this thread would work on another thread's list from here on.
    REEF_DCHECK(internal::tls_slot == slot,
                "the destructor of a managed object came back on another thread",
                "a destructor must not switch to a fiber that another thread may resume");
    // What this destructor has dropped comes next, the first one first.
    header = slot->dying.TakeAllBefore(Header::LinkOf(word));
    if (--*left == 0) break;
  }
  return header;
}

// The same with the finalizers that are due, one after the other, each of which counts as an object
// and comes when none is left to destroy.
Header* DestroyAndFinalize(Slot* slot, Header* header, uint64_t* left) {
  for (;;) {
    header = DestroyFrom(slot, header, left);
    if (*left == 0 || slot->unasked || !RunNextFinalizer(slot)) return header;
    header = slot->dying.TakeAll();
    if (--*left == 0) return header;
  }
}

// Goes on with `rest` where kLeastBudget objects were not all, or finalizers are due; `left` of
// that number are left. Asks for the budget of the heap whose object is next, again and again,
// because a worklist may mix heaps, and leaves what exceeds it to the collector thread.
REEF_NOINLINE void DrainLong(Slot* slot, Header* rest, uint64_t left) {
  constexpr uint64_t kStep = 4096;
  const bool may_leave = CanLeaveSurplus();
  uint64_t done = kLeastBudget - left;
  while (rest != nullptr || slot->first_finalizer != nullptr) {
    if (rest == nullptr && slot->unasked) return LeaveDue(slot);
    const Header* next = rest != nullptr ? rest : slot->first_finalizer;
    const uint64_t budget = may_leave ? internal::SegmentOf(next)->core->drop_budget : 0;
    if (budget != 0 && done >= budget) return LeaveSurplus(slot, rest);
    const uint64_t step = budget == 0 ? kStep : std::min(kStep, budget - done);
    left = step;
    rest = DestroyAndFinalize(slot, rest, &left);
    done += step - left;
  }
}

}  // namespace

void PushDying(Slot* slot, Header* header) {
  header->SetLink(nullptr);
  slot->dying.Append(header);
}

void EndDrain(Slot* slot) {
  slot->draining = false;
  // After what was too much has been left: who finds nothing in hand sees it.
  if (REEF_UNLIKELY(slot->in_hand_due != 0)) {
    g_in_hand.fetch_sub(slot->in_hand_due, std::memory_order_release);
    slot->in_hand -= slot->in_hand_due;
    slot->in_hand_due = 0;
  }
}

void DrainList(Slot* slot) {
  slot->draining = true;
  uint64_t left = kLeastBudget;
  Header* rest = DestroyFrom(slot, slot->dying.TakeAll(), &left);
  if (REEF_UNLIKELY(rest != nullptr || slot->first_finalizer != nullptr)) {
    DrainLong(slot, rest, left);
  }
  EndDrain(slot);
}

namespace {

// `unasked` is set outside drains only, and by the outermost one: a revocation may retire.
class UnaskedScope {
 public:
  explicit UnaskedScope(Slot* slot)
      : slot_(slot->draining || slot->unasked || !MayLeaveUnasked() ? nullptr : slot) {
    if (slot_ != nullptr) slot_->unasked = true;
  }
  ~UnaskedScope() {
    if (slot_ != nullptr) slot_->unasked = false;
  }
  UnaskedScope(const UnaskedScope&) = delete;
  UnaskedScope& operator=(const UnaskedScope&) = delete;

 private:
  Slot* const slot_;
};

}  // namespace

void DrainUnasked(Slot* slot) {
  const UnaskedScope unasked(slot);
  Drain(slot);
}

namespace {

// In a drain what comes due would be carried out by that, as if its statement had dropped it: the
// drain's own lists are put aside meanwhile.
void RevokeInDrain(Slot* slot) {
  Header* own = slot->dying.TakeAll();
  Header* const first = std::exchange(slot->first_finalizer, nullptr);
  Header* const last = slot->last_finalizer;
  RevokePending(slot, *slot);
  if (slot->first_finalizer != nullptr) LeaveDue(slot);
  slot->first_finalizer = first;
  slot->last_finalizer = last;
  Header* due = slot->dying.TakeAll();
  for (Header* next = nullptr; own != nullptr; own = next) {
    next = own->Link();
    PushDying(slot, own);
  }
  for (Header* next = nullptr; due != nullptr; due = next) {
    next = due->Link();
    if (HasCallbacks(due)) {
      due->SetLink(nullptr);
      LeaveDead(due);
    } else {
      PushDying(slot, due);
    }
  }
}

}  // namespace

void RevokeUnasked(Slot* slot) {
  if (slot->draining && MayLeaveUnasked()) return RevokeInDrain(slot);
  const UnaskedScope unasked(slot);
  RevokePending(slot, *slot);
}

Surplus DestroySome(Slot* slot, Surplus surplus, uint64_t most) {
  slot->draining = true;
  for (;;) {
    surplus.dead = DestroyAndFinalize(slot, surplus.dead, &most);
    Header* due = surplus.due;
    if (most == 0 || due == nullptr) break;
    surplus.due = FinalizerLink(due);
    QueueFinalizer(slot, due);
  }
  if (slot->first_finalizer != nullptr) {
    FinalizerLink(slot->last_finalizer) = surplus.due;
    surplus.due = std::exchange(slot->first_finalizer, nullptr);
  }
  EndDrain(slot);
  return surplus;
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
    object::RevokeUnasked(slot);
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
  // has dropped may be pending, and one that was published may just be read. Where there are weak
  // handles a Lock may come in between: then DEAD is set in one step with the judgement.
  constexpr uint64_t kDeadUnborn = kSharedInit | kMerged | kDead | kWeak;
  const uint32_t counts = header->Local(std::memory_order_acquire) & kLocalCounts;
  uint64_t seen = header->Shared(std::memory_order_acquire);
  do {
    const uint64_t word = seen & ~(kFinalizable | kWeak);
    const bool as_born = (word == kSharedInit && counts == kLocalExt) ||
                         word == (kSharedInit | kMerged) + kSharedExt;
    REEF_CHECK_OF(
        as_born, object::SubjectOf(header),
        "a constructor threw after it had handed out a reference to its object",
        "make references to an object once it is made, in a factory function for example");
    REEF_CHAOS_POINT("unborn object judged, not dead");
  } while ((seen & kWeak) != 0 && !header->CompareExchangeShared(&seen, kDeadUnborn));
  Slot* slot = CurrentSlot();
  if (REEF_UNLIKELY((seen & kWeak) != 0)) {
    header->SetLocal(0);
    object::EndWeak(header);
    object::EndHiddenEdge(header);
    header->SetStage(Stage::kFree);
    object::Retire(slot, header);
    return;
  }
  object::FreeObject(slot, header);
}

}  // namespace reef::internal
