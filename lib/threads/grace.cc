#include "lib/threads/grace.h"

#include <atomic>

#include "lib/os/chaos.h"
#include "lib/os/clock.h"
#include "lib/os/membarrier.h"
#include "lib/os/pages.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"

namespace reef::threads {
namespace {

// A bracket or scope that was open when the grace period started.
struct Open {
  const std::atomic<uint64_t>* sequence;
  uint64_t seen;
};

constexpr size_t kMaxOpen = size_t{2} * kMaxSlots;

struct GraceState {
  // Grace periods started, completed, and asked for. Sequentially consistent: a ticket is taken
  // after an unlinking store, and the start's membarrier and loads come after `started` was raised.
  std::atomic<GraceTicket> started{0};
  std::atomic<GraceTicket> completed{0};
  std::atomic<GraceTicket> wanted{0};
  // Held by the one thread that advances; tried, never waited for.
  std::atomic<bool> busy{false};
  // Under `busy`: what the running period still waits for. The table is mapped when the first one
  // starts.
  Open* open = nullptr;
  size_t count = 0;
};

// Neither constructed nor destroyed at run time: a fork cannot come in between.
constinit GraceState g_state;

void EnsureTable(GraceState& state) {
  if (state.open != nullptr) return;
  state.open = static_cast<Open*>(os::Reserve(kMaxOpen * sizeof(Open), os::kPageBytes));
  REEF_CHECK(state.open != nullptr, "no addresses for the grace period's table",
             "raise the limit on virtual memory (ulimit -v)");
}

void Note(GraceState& state, const std::atomic<uint64_t>& sequence) {
  // Acquire: what the bracket or scope did before its last change comes before ours.
  const uint64_t seen = sequence.load(std::memory_order_acquire);
  if ((seen & 1) != 0) state.open[state.count++] = {&sequence, seen};
}

void Start(GraceState& state) {
  EnsureTable(state);
  state.started.fetch_add(1, std::memory_order_seq_cst);
  REEF_CHAOS_POINT("grace period counted, before the membarrier");
  os::Membarrier();
  REEF_CHAOS_POINT("grace period begun, nothing noted");
  state.count = 0;
  ForEachSlot([&state](const Slot& slot) {
    Note(state, slot.seq);
    Note(state, slot.scope);
  });
}

void RemoveEnded(GraceState& state) {
  size_t kept = 0;
  for (size_t i = 0; i < state.count; ++i) {
    const Open& open = state.open[i];
    if (open.sequence->load(std::memory_order_acquire) == open.seen) state.open[kept++] = open;
  }
  state.count = kept;
  REEF_CHAOS_POINT("ended brackets removed, grace period not completed");
}

}  // namespace

GraceTicket TakeGraceTicket() {
  GraceState& state = g_state;
  const GraceTicket ticket = state.started.load(std::memory_order_seq_cst) + 1;
  GraceTicket wanted = state.wanted.load(std::memory_order_relaxed);
  while (wanted < ticket &&
         !state.wanted.compare_exchange_weak(wanted, ticket, std::memory_order_relaxed)) {
  }
  return ticket;
}

bool GracePassed(GraceTicket ticket) {
  // Acquire: pairs with the completer's release, which follows the ends of all brackets and scopes.
  return g_state.completed.load(std::memory_order_acquire) >= ticket;
}

void AdvanceGrace() {
  GraceState& state = g_state;
  if (state.busy.exchange(true, std::memory_order_acquire)) return;
  const GraceTicket completed = state.completed.load(std::memory_order_relaxed);
  if (state.started.load(std::memory_order_relaxed) == completed &&
      completed < state.wanted.load(std::memory_order_relaxed)) {
    Start(state);
  }
  if (state.started.load(std::memory_order_relaxed) != completed) {
    RemoveEnded(state);
    if (state.count == 0) state.completed.store(completed + 1, std::memory_order_release);
  }
  state.busy.store(false, std::memory_order_release);
}

void HoldGrace() {
  os::Backoff backoff;
  while (g_state.busy.exchange(true, std::memory_order_acquire)) backoff.Pause();
}

void ReleaseGrace() { g_state.busy.store(false, std::memory_order_release); }

}  // namespace reef::threads
