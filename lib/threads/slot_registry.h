// The slot registry: which slots exist, and how threads get and leave them.
//
// Slots stand in one array that never moves or shrinks; its used part only grows, to about
// the largest number of threads that were attached at once. A thread's end puts its slot on the
// list of fresh orphans, with its caches and its ownership of objects as they are; the next new
// thread takes it from there. The collector thread takes fresh orphans one by one, empties their
// caches, and puts each on the list of emptied orphans, where new threads look next. Taking from a
// list is the claim: nobody touches an orphaned slot without it.
//
// Slots beyond the 4,092 that headers can name work as well: their threads' objects are born
// unbiased. Engine state is never destroyed, so it outlives every thread_local and static
// destructor: a thread that uses a heap after its slot went is given one anew.
#ifndef REEF_LIB_THREADS_SLOT_REGISTRY_H_
#define REEF_LIB_THREADS_SLOT_REGISTRY_H_

#include <cstdint>
#include <mutex>

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::threads {

using internal::Slot;

inline constexpr uint32_t kMaxSlots = 1u << 16;

// The number of slots ever used. Acquire: the slots below are initialised.
uint32_t SlotCount();
// What the mode is while no collection is armed.
internal::Mode IdleMode();
Slot* SlotAt(uint32_t index);
// The slot of an owner number in a header (1..4092).
Slot* SlotOfOwner(internal::Owner owner);

// What a thread's end does before its slot is offered: hand over what only that thread would do.
// Set once, when the collector thread starts.
void SetThreadEndHook(void (*hook)(Slot*));

// Takes an orphaned slot off its list, a fresh one if there is any; null when there is none. Any
// thread, lock-free.
Slot* ClaimOrphan();
// The same, of the fresh ones only.
Slot* ClaimFreshOrphan();
// The calling thread has had a slot, and its end has been seen.
bool HasEnded();
// The calling thread is the process's first, or the collector thread, and past those of its
// thread_locals that are younger than its first use of Reef: it has called exit, which begins with
// them, or ends.
bool IsEndOfThread();
// By the destructor of another thread's thread_local, for that thread.
void NoteEndOfThread();
// Puts a claimed slot back, on the list that `emptied` tells.
void ReturnOrphan(Slot* slot);

// For fork: the mutex of the start and of growth; whether there are slots at all; the child's walk
// over the orphans, which nobody else may change meanwhile.
std::mutex& RegistryMutex();
bool IsRegistryStarted();
void ForEachOrphan(void (*function)(const Slot&));

// Calls `function(slot)` for every slot ever used.
template <typename Function>
void ForEachSlot(Function function) {
  const uint32_t count = SlotCount();
  for (uint32_t i = 0; i < count; ++i) function(*SlotAt(i));
}

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_SLOT_REGISTRY_H_
