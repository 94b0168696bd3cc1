#include "lib/object/surplus.h"

#include <atomic>
#include <utility>

#include "lib/object/dying.h"
#include "lib/object/revocation.h"
#include "lib/os/bell.h"
#include "lib/os/chaos.h"
#include "reef/internal/count.h"

namespace reef::object {
namespace {

// Objects of one slice: some hundred microseconds' worth of short destructors, so that the
// collector thread sees requests and pending drops in between.
constexpr uint64_t kSlice = 4096;

constinit thread_local bool t_is_finisher = false;
// Relaxed: who reads an old `true` leaves objects that nobody will destroy, at the process's end.
std::atomic<bool> g_finisher{false};
// Sequentially consistent when left (the bell's contract; release: the links are written), acquire
// when taken: the dropping thread's last uses come before the destructors.
std::atomic<Header*> g_left{nullptr};
Header* g_taken = nullptr;        // finisher only: not yet destroyed
std::atomic<uint64_t> g_done{0};  // batches that have been; relaxed, its writer asks

}  // namespace

void BecomeFinisher() {
  t_is_finisher = true;
  // What others left is biased to them, object after object along a list.
  internal::CurrentSlot()->claims_sole = true;
  g_finisher.store(true, std::memory_order_relaxed);
}

void DismissFinisher() { g_finisher.store(false, std::memory_order_relaxed); }

bool CanLeaveSurplus() { return !t_is_finisher && g_finisher.load(std::memory_order_relaxed); }

void LeaveSurplus(Header* first) {
  Header* last = first;
  while (Header* next = last->Link()) last = next;
  Header* head = g_left.load(std::memory_order_relaxed);
  do {
    last->SetLink(head);
    REEF_CHAOS_POINT("surplus linked, not yet left");
  } while (!g_left.compare_exchange_weak(head, first, std::memory_order_seq_cst,
                                         std::memory_order_relaxed));
  os::RingBell();
}

bool DestroySurplus(Slot* slot) {
  if (!t_is_finisher) return false;
  if (g_taken == nullptr) g_taken = g_left.exchange(nullptr, std::memory_order_acquire);
  if (g_taken == nullptr) return false;
  g_taken = DestroySome(slot, std::exchange(g_taken, nullptr), kSlice);
  if (g_taken == nullptr) g_done.fetch_add(1, std::memory_order_relaxed);
  return HasSurplus();
}

uint64_t CountSurplusDone() { return g_done.load(std::memory_order_relaxed); }

bool HasSurplus() {
  return g_taken != nullptr || g_left.load(std::memory_order_acquire) != nullptr;
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
  object::EndDrain(slot, slot->dying.TakeAll());
}

}  // namespace reef::internal
