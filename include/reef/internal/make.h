// Birth of an object: block, header, constructor. Inlined into Make with the size class a constant.
//
// A traced object is born in a bracket: its colour is read and its header written between two looks
// of the collector, so no white object appears after the rendezvous that ends arming. It is
// BUILDING while its constructor runs (the collector scans its payload word by word) and LIVE
// afterwards. A leaf is LIVE at once: nobody ever traces it.
#ifndef REEF_INTERNAL_MAKE_H_
#define REEF_INTERNAL_MAKE_H_

#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/poison.h"
#include "reef/internal/size_class.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"
#include "reef/internal/type_info.h"

namespace reef::internal {

// The default heap's core is constant-initialised: its empty caches send the first allocation to
// the slow path, which makes the heap.
extern HeapCore g_default_core;
inline constexpr uint32_t kDefaultHeapIndex = 0;

// The largest alignment a managed type may ask for.
inline constexpr size_t kMaxAlignment = kSlabBytes;

// Fetches a block where the thread cache has none: refill, then an emergency collection and purge,
// then null. Any thread outside brackets.
void* AllocateSlow(HeapCore* core, SlabKind kind, int size_class);
// A block of its own run of slabs, for payloads that no class serves; null when none can be had.
void* AllocateRun(HeapCore* core, SlabKind kind, size_t payload_bytes, size_t alignment);
// Returns the block of an object whose constructor has thrown. Aborts if there is a reference to
// it.
void FreeUnborn(Header* header);
// Throws OutOfMemory for a request of that size.
[[noreturn]] void ThrowOutOfMemory(HeapCore* core, size_t bytes);

// A block of a class, from the thread cache or the slow path; null when memory is exhausted.
// `heap_index` is the core's; the default heap's is a constant. `slot` is the calling thread's,
// also if it had none before.
REEF_INLINE void* AllocateBlock(Slot*& slot, HeapCore* core, uint32_t heap_index, SlabKind kind,
                                int size_class) {
  void* block = PopBlock(slot->caches[heap_index], kind, size_class);
  if (REEF_UNLIKELY(block == nullptr)) {
    block = AllocateSlow(core, kind, size_class);
    slot = tls_slot;
  }
  if (REEF_POISONS && block != nullptr) UnpoisonBlock(block);
  return block;
}

// The births off the fast path, the first of a type and the unbiased ones (lib/object/bias.cc).
void BearSlow(Slot* slot, HeapCore* core, Header* header, TypeInfo* type);

// Writes the header of a newborn object with one root counted; `shared` says whether it has a
// finalizer.
REEF_INLINE void BearHeader(Slot* slot, HeapCore* core, Header* header, TypeInfo* type, bool traced,
                            uint64_t shared = kSharedInit) {
  const uint64_t word0 = type->birth.load(std::memory_order_acquire) | slot->birth;
  if (REEF_UNLIKELY((word0 & kBornUnbiased) != 0)) {
    BearSlow(slot, core, header, type);
  } else if (traced) {
    // The birth bracket. It reads the colour where others read the mode: the collector changes
    // both before its rendezvous. Objects are born biased only where there is a membarrier.
    const BareBracket bracket(slot);
    header->Bear(word0 | core->birth.load(std::memory_order_acquire), shared);
  } else {
    header->Bear(word0, shared);
  }
}

// Counts the constructors of managed objects that run on this thread. A collection that is asked
// for from inside one is refused: it could not reclaim what the unfinished object refers to.
class UserCodeScope {
 public:
  explicit UserCodeScope(Slot* slot) : slot_(slot) { ++slot_->user_code; }
  ~UserCodeScope() {
    REEF_DCHECK(tls_slot == slot_,
                "the constructor of a managed object came back on another thread",
                "a constructor must not switch to a fiber that another thread may resume");
    --slot_->user_code;
  }
  UserCodeScope(const UserCodeScope&) = delete;
  UserCodeScope& operator=(const UserCodeScope&) = delete;

 private:
  Slot* const slot_;
};

// Makes a T with one root counted, which the caller owns. Null when memory is exhausted (the caller
// reports it); passes on what the constructor throws, block returned.
template <typename T, typename... Args>
REEF_INLINE T* TryMakeObject(HeapCore* core, uint32_t heap_index, Args&&... args) {
  static_assert(std::is_same_v<T, std::remove_cv_t<T>>, "make a plain T, then convert the Ref");
  static_assert(!std::is_array_v<T>, "arrays: use reef::Vector, or a type that holds std::array");
  static_assert(alignof(T) <= kMaxAlignment, "Reef aligns objects to 64 KiB at most");
  static_assert(std::is_nothrow_destructible_v<T>, "a managed type's destructor must not throw");
  static_assert(
      !HasUnusableTrace<T>,
      "Trace must be const: void Trace(reef::Visitor&) const; as it is, the type would be "
      "a leaf, and nobody would follow its edges");
  static_assert(
      !HasUnusableFinalize<T>,
      "Finalize must be public and take the object: void Finalize(reef::Ref<T> self); as it is, "
      "nobody would call it (a member that is meant for something else wants another name)");
  constexpr bool kTraced = HasTrace<T>;
  constexpr SlabKind kKind = ObjectKind(kTraced, alignof(T));
  constexpr int kClass = ClassFor(kKind, kPayloadBytes<T>, alignof(T));
  constexpr uint64_t kShared = HasFinalize<T> ? kSharedInit | kFinalizable : kSharedInit;

  Slot* slot = tls_slot;
  void* block = nullptr;
  if constexpr (kClass != kNoClass) {
    block = AllocateBlock(slot, core, heap_index, kKind, kClass);
  } else {
    block = AllocateRun(core, kKind, kPayloadBytes<T>, alignof(T));
    slot = tls_slot;  // the thread may have got it only now
  }
  if (REEF_UNLIKELY(block == nullptr)) return nullptr;

  Header* header = static_cast<Header*>(block);
  // Relaxed: it comes before the bracket of the birth, whose end the collector's rendezvous sees.
  if constexpr (HasFinalize<T>) SlabOf(block)->finalizable.store(true, std::memory_order_relaxed);
  BearHeader(slot, core, header, &TypeOf<T>::info, kTraced, kShared);
  T* object = static_cast<T*>(header->Payload());
  if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
    ::new (static_cast<void*>(object)) T(std::forward<Args>(args)...);
  } else {
    const UserCodeScope user_code(slot);
    try {
      ::new (static_cast<void*>(object)) T(std::forward<Args>(args)...);
    } catch (...) {
      FreeUnborn(header);
      throw;
    }
  }
  if constexpr (kTraced) header->SetStage(Stage::kLive);
  return object;
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_MAKE_H_
