#include "lib/object/surplus.h"

#include <atomic>
#include <utility>

#include "lib/object/dying.h"
#include "lib/object/finalizer.h"
#include "lib/object/revocation.h"
#include "lib/os/bell.h"
#include "lib/os/chaos.h"
#include "lib/os/fork.h"
#include "reef/internal/count.h"

namespace reef::object {
namespace {

// Objects of one slice: some hundred microseconds' worth of short destructors, so that the
// collector thread sees requests and pending drops in between.
constexpr uint64_t kSlice = 4096;

constinit thread_local bool t_is_finisher = false;
// Relaxed: who reads an old `true` leaves objects that nobody will destroy, at the process's end.
std::atomic<bool> g_admitted{false};
// Sequentially consistent when left (the bell's contract; release: the links are written), acquire
// when taken: the dropping thread's last uses come before the destructors.
std::atomic<Header*> g_left_dead{nullptr};
std::atomic<Header*> g_left_due{nullptr};
Surplus g_taken;  // finisher only: not yet destroyed
// Unasked, and the batch in work of it. Relaxed: steers who runs what; counted before it is listed,
// and off when the batch that follows is gone.
std::atomic<uint64_t> g_unasked_bytes{0};
uint64_t g_taken_bytes = 0;       // finisher only
std::atomic<uint64_t> g_done{0};  // batches that have been; relaxed, its writer asks

// Pushes a chain on one of the lists; `link` makes its last object lead to what is there.
template <typename Link>
void Push(std::atomic<Header*>* list, Header* first, Link link) {
  Header* head = list->load(std::memory_order_relaxed);
  do {
    link(head);
    REEF_CHAOS_POINT("surplus linked, not yet left");
  } while (!list->compare_exchange_weak(head, first, std::memory_order_seq_cst,
                                        std::memory_order_relaxed));
}

// A part of a list: what a fork may cut off while it is destroyed. One object more than a slice
// destroys, so that the last one is left, and the rest can be linked behind it again.
struct Part {
  Header* first = nullptr;
  Header* last = nullptr;
};

// Takes it off the list.
template <typename Next, typename SetNext>
Part TakePart(Header** list, Next next, SetNext set_next) {
  Part part{.first = *list, .last = *list};
  if (part.first == nullptr) return part;
  for (uint64_t i = 0; i < kSlice && next(part.last) != nullptr; ++i) part.last = next(part.last);
  *list = next(part.last);
  set_next(part.last, nullptr);
  return part;
}

Header* NextDead(const Header* header) { return header->Link(); }
void SetNextDead(Header* header, Header* next) { header->SetLink(next); }
Header* NextDue(Header* header) { return FinalizerLink(header); }
void SetNextDue(Header* header, Header* next) { FinalizerLink(header) = next; }

}  // namespace

void ActAsFinisher(bool acts) {
  t_is_finisher = acts;
  // What others left is biased to them, object after object along a list.
  internal::CurrentSlot()->claims_sole = acts;
}

void AdmitSurplus() { g_admitted.store(true, std::memory_order_relaxed); }

void RefuseSurplus() { g_admitted.store(false, std::memory_order_relaxed); }

bool CanLeaveSurplus() {
  if (t_is_finisher) return false;
  // If none can be started, nothing is admitted any more.
  os::StartAbsentCollector();
  return g_admitted.load(std::memory_order_relaxed);
}

namespace {

void PushDead(Header* dead) {
  Header* last = dead;
  while (Header* next = last->Link()) last = next;
  Push(&g_left_dead, dead, [last](Header* head) { last->SetLink(head); });
}

void PushDue(Slot* slot) {
  Header* due = std::exchange(slot->first_finalizer, nullptr);
  if (due == nullptr) return;
  Push(&g_left_due, due, [slot](Header* head) { FinalizerLink(slot->last_finalizer) = head; });
}

template <typename Next>
void CountUnasked(Header* first, Next next) {
  uint64_t bytes = 0;
  for (; first != nullptr; first = next(first)) bytes += internal::SlabOf(first)->block_bytes;
  g_unasked_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

}  // namespace

void LeaveSurplus(Slot* slot, Header* dead) {
  if (dead != nullptr) PushDead(dead);
  PushDue(slot);
  os::RingBell();
}

bool MayLeaveUnasked() {
  return CanLeaveSurplus() && g_unasked_bytes.load(std::memory_order_relaxed) < kMostLeftBytes;
}

void LeaveDead(Header* dead) {
  CountUnasked(dead, &NextDead);
  PushDead(dead);
  os::RingBell();
}

void LeaveDue(Slot* slot) {
  CountUnasked(slot->first_finalizer, &NextDue);
  PushDue(slot);
  os::RingBell();
}

bool DestroySurplus(Slot* slot) {
  if (!t_is_finisher) return false;
  if (g_taken.empty()) {
    g_taken.dead = g_left_dead.exchange(nullptr, std::memory_order_acquire);
    g_taken.due = g_left_due.exchange(nullptr, std::memory_order_acquire);
    g_taken_bytes = g_unasked_bytes.load(std::memory_order_relaxed);
  }
  if (g_taken.empty()) return false;
  const Part dead = TakePart(&g_taken.dead, &NextDead, &SetNextDead);
  const Part due = TakePart(&g_taken.due, &NextDue, &SetNextDue);
  {
    const os::ForkWindow window;
    const Surplus rest = DestroySome(slot, {.dead = dead.first, .due = due.first}, kSlice);
    // What is left of a part that was not all of the list ends with its last object. Before the
    // window ends: that is where a fork holds this thread.
    if (dead.last != nullptr && g_taken.dead != nullptr) SetNextDead(dead.last, g_taken.dead);
    if (due.last != nullptr && g_taken.due != nullptr) SetNextDue(due.last, g_taken.due);
    internal::CompilerBarrier();
    g_taken = rest;
  }
  if (g_taken.empty()) {
    g_unasked_bytes.fetch_sub(std::exchange(g_taken_bytes, 0), std::memory_order_relaxed);
    g_done.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

uint64_t CountSurplusDone() { return g_done.load(std::memory_order_relaxed); }

bool HasSurplus() {
  return !g_taken.empty() || g_left_dead.load(std::memory_order_acquire) != nullptr ||
         g_left_due.load(std::memory_order_acquire) != nullptr;
}

}  // namespace reef::object

namespace reef::internal {

void DropExtLater(Header* header) {
  Slot* slot = CurrentSlot();
  Header* due = nullptr;
  {
    const Bracket bracket(slot);
    due = DecrementInBracket(bracket, header, Kind::kExt);
  }
  if (due == nullptr) return;
  if (slot->draining || !object::CanLeaveSurplus()) return Die(slot, due);
  // As in a drain: what dies here is listed, and then left as a whole.
  slot->draining = true;
  Die(slot, due);
  if (!slot->dying.empty() || slot->first_finalizer != nullptr) {
    object::LeaveSurplus(slot, slot->dying.TakeAll());
  }
  object::EndDrain(slot);
}

}  // namespace reef::internal
