#include "lib/threads/slot_registry.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <new>

#include "lib/os/chaos.h"
#include "lib/os/membarrier.h"
#include "lib/os/pages.h"
#include "lib/threads/late.h"
#include "reef/internal/check.h"

namespace reef::internal {

constinit Slot g_null_slot;

}  // namespace reef::internal

namespace reef::threads {
namespace {

using internal::g_null_slot;
using internal::kMaxOwner;
using internal::kOwnerShift;
using internal::kUnbiased;

constexpr uint64_t kTag = uint64_t{1} << 32;

// A stack of slots: number + 1 of the first in the low half, a tag against reuse in the high half.
using OrphanList = std::atomic<uint64_t>;

struct Registry {
  Slot* slots = nullptr;
  // Release after the slot is initialised, acquire by walkers.
  std::atomic<uint32_t> count{0};
  OrphanList fresh_orphans{0};
  OrphanList emptied_orphans{0};
  std::mutex growth;                 // the start; a slot beyond the largest count so far
  std::atomic<bool> started{false};  // release when the rest is set up, acquire by all
  pthread_key_t key{};
  void (*end_hook)(Slot*) = nullptr;
};

// Neither constructed nor destroyed at run time: a fork cannot come in between, nor can an end.
constinit Registry g_registry;
Registry& TheRegistry();

constinit thread_local bool t_ended = false;

// The slot's next thread must not find itself in a scope that nobody will end. A thread that ends
// in one was wrong to (reef/atomic.h): what it has peeked at may go from here on.
void LeaveUserCode(Slot* slot) {
  REEF_DCHECK(
      slot->scope_depth == 0 && slot->user_code == 0,
      "a thread ended inside a ReadScope, or in a managed object's constructor or destructor",
      "end each scope on its thread: keep none on the free store, nor on an abandoned fiber");
  slot->user_code = 0;
  slot->scope_depth = 0;
  // Release: the reads in the scope come before the destruction that waits for it.
  const uint64_t scope = slot->scope.load(std::memory_order_relaxed);
  if ((scope & 1) != 0) slot->scope.store(scope + 1, std::memory_order_release);
}

constinit thread_local bool t_ends = false;
struct EndMark {
  ~EndMark() { t_ends = true; }
  bool set = false;
};
thread_local EndMark t_end_mark;

// Runs after the thread's thread_local destructors. If another key's destructor uses a heap later,
// it attaches again, and this runs again, unless that was the last round (late.h).
void EndThread(void* arg) {
  Slot* slot = static_cast<Slot*>(arg);
  Registry& registry = TheRegistry();
  LeaveUserCode(slot);
  if (registry.end_hook != nullptr) registry.end_hook(slot);
  // A `busy` left standing would keep an object's bias from being revoked for ever.
  slot->busy.store(nullptr, std::memory_order_release);
  internal::tls_slot = &g_null_slot;
  t_ended = true;
  LeaveLate();
  REEF_CHAOS_POINT("thread ends");
  ReturnOrphan(slot);
}

void StartRegistry() {
  const std::lock_guard<std::mutex> lock(g_registry.growth);
  if (g_registry.started.load(std::memory_order_relaxed)) return;
  // Before the first slot, hence before the first bracket. Relaxed: threads get their slots from
  // here.
  if (!os::RegisterMembarrier()) {
    internal::g_mode.store(internal::Mode::kIdleFenced, std::memory_order_relaxed);
  }
  g_registry.slots = static_cast<Slot*>(os::Reserve(kMaxSlots * sizeof(Slot), alignof(Slot)));
  REEF_CHECK(g_registry.slots != nullptr, "no addresses for the table of threads (256 MiB)",
             "raise the limit on virtual memory (ulimit -v)");
  REEF_CHECK(pthread_key_create(&g_registry.key, &EndThread) == 0, "no thread-specific key left",
             "the process has used up PTHREAD_KEYS_MAX keys");
  g_registry.started.store(true, std::memory_order_release);
}

Registry& TheRegistry() {
  if (REEF_UNLIKELY(!g_registry.started.load(std::memory_order_acquire))) StartRegistry();
  return g_registry;
}

Slot* Pop(OrphanList* list) {
  // Acquire: pairs with Push; all that the last holder did to the slot comes before.
  uint64_t head = list->load(std::memory_order_acquire);
  for (;;) {
    const auto number = static_cast<uint32_t>(head);
    if (number == 0) return nullptr;
    Slot* slot = SlotAt(number - 1);
    const uint32_t next = slot->next_orphan.load(std::memory_order_relaxed);
    const uint64_t desired = ((head & ~(kTag - 1)) + kTag) | next;
    REEF_CHAOS_POINT("orphan seen, not claimed");
    if (list->compare_exchange_weak(head, desired, std::memory_order_acquire,
                                    std::memory_order_acquire)) {
      return slot;
    }
  }
}

void Push(OrphanList* list, Slot* slot) {
  uint64_t head = list->load(std::memory_order_relaxed);
  uint64_t desired = 0;
  do {
    slot->next_orphan.store(static_cast<uint32_t>(head), std::memory_order_relaxed);
    desired = ((head & ~(kTag - 1)) + kTag) | (slot->index + 1);
    REEF_CHAOS_POINT("orphan linked, not pushed");
  } while (!list->compare_exchange_weak(head, desired, std::memory_order_release,
                                        std::memory_order_relaxed));
}

Slot* NewSlot(Registry& registry) {
  const std::lock_guard<std::mutex> lock(registry.growth);
  const uint32_t index = registry.count.load(std::memory_order_relaxed);
  REEF_CHECK(index < kMaxSlots, "more than 65,536 threads use heaps at once",
             "use fewer threads: slots are recycled when threads end");
  Slot* slot = new (&registry.slots[index]) Slot;
  slot->index = index;
  const uint32_t owner = index + 1;
  const bool biased = owner <= kMaxOwner && os::HasMembarrier();
  slot->slab_owner = index + 1;
  slot->birth = (uint64_t{biased ? owner : kUnbiased} << kOwnerShift) | internal::kLocalExt |
                (biased ? 0 : internal::kBornUnbiased);
  slot->fenced = !os::HasMembarrier();
  // Published before the thread's first bracket reads the mode; the rendezvous' membarrier, after
  // which the collector reads the count, orders the two.
  registry.count.store(index + 1, std::memory_order_seq_cst);
  return slot;
}

}  // namespace

uint32_t SlotCount() { return TheRegistry().count.load(std::memory_order_acquire); }

std::mutex& RegistryMutex() { return g_registry.growth; }

bool IsRegistryStarted() { return g_registry.started.load(std::memory_order_acquire); }

internal::Mode IdleMode() {
  return os::HasMembarrier() ? internal::Mode::kIdle : internal::Mode::kIdleFenced;
}

Slot* SlotAt(uint32_t index) { return &TheRegistry().slots[index]; }

Slot* SlotOfOwner(internal::Owner owner) { return SlotAt(owner - 1); }

void SetThreadEndHook(void (*hook)(Slot*)) { TheRegistry().end_hook = hook; }

Slot* ClaimOrphan() {
  if (Slot* slot = ClaimFreshOrphan()) return slot;
  return Pop(&TheRegistry().emptied_orphans);
}

Slot* ClaimFreshOrphan() {
  if (Slot* slot = TakeLate()) {
    slot->busy.store(nullptr, std::memory_order_release);
    return slot;
  }
  return Pop(&TheRegistry().fresh_orphans);
}

bool HasEnded() { return t_ended; }
bool IsEndOfThread() { return t_ends; }
void NoteEndOfThread() { t_ends = true; }

void ForEachOrphan(void (*function)(const Slot&)) {
  for (const OrphanList* list : {&g_registry.fresh_orphans, &g_registry.emptied_orphans}) {
    auto number = static_cast<uint32_t>(list->load(std::memory_order_acquire));
    for (Slot* slot = nullptr; number != 0;
         number = slot->next_orphan.load(std::memory_order_relaxed)) {
      slot = SlotAt(number - 1);
      function(*slot);
    }
  }
}

void ReturnOrphan(Slot* slot) {
  Registry& registry = TheRegistry();
  Push(slot->emptied ? &registry.emptied_orphans : &registry.fresh_orphans, slot);
}

}  // namespace reef::threads

namespace reef::internal {

Slot* AttachThread() {
  threads::Registry& registry = threads::TheRegistry();
  Slot* slot = threads::ClaimOrphan();
  if (slot == nullptr) slot = threads::NewSlot(registry);
  REEF_CHAOS_POINT("slot adopted, not yet used");
  slot->emptied = false;
  slot->tid.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
  tls_slot = slot;
  REEF_CHECK(pthread_setspecific(registry.key, slot) == 0, "no memory to attach a thread",
             "free some memory before starting threads");
  if (threads::HasEnded()) {
    threads::EnterLate(slot);
  } else if (slot->tid.load(std::memory_order_relaxed) == getpid()) {
    // It has a destructor from now on. Not on others: what that takes is lost where a thread comes
    // here after its thread_locals have gone.
    threads::t_end_mark.set = true;
  }
  return slot;
}

}  // namespace reef::internal
