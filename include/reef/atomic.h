// AtomicRef<T> and AtomicMember<T>: a root and an edge that any number of threads read and replace
// without a lock; ReadScope and Peek: reading through them without touching a count.
//
//   reef::AtomicRef<Config> current;                  // a global
//   current.Store(heap.Make<Config>(...));            // writers
//   reef::Ref<Config> config = current.Load();        // readers: counted
//   { reef::ReadScope scope; use(current.Peek(scope)->limit); }   // readers: uncounted
//
//   // A list algorithm: traverses, and compares with what it saw, without touching a count.
//   reef::ReadScope scope;
//   Node* first = head.Peek(scope);
//   while (first != nullptr && !head.CompareExchange(scope, first, first->next.Load())) {}
//
// An object that was stored in one of these is *published*: from its last reference to its
// destructor a grace period passes, in which every bracket and every ReadScope that was open ends.
// So Load may count an object up that is dying at that moment, and see that it is, and Peek's
// result stays valid until its scope ends. (Epoch-based reclamation: Fraser 2004; with the reader's
// fence replaced by membarrier, as in userspace RCU.)
//
// Where such a death ends: on the collector thread, which looks every millisecond; and once a
// thread has dropped a MiB of published objects more, in that drop or store, for those of them that
// are due. There it runs their destructors alone, never what other threads have dropped, and no
// finalizer or weak callback: these wait for the collector thread. (Two exceptions: while 16 MiB
// wait for that, a thread runs those of its own drops; and where there is no collector thread,
// because the process ends or can have none, it runs all.) So a destructor of a published type must
// not need a lock that may be held at a store.
//
// An object's address is not used again while a scope is open that could have peeked at it: a
// comparison with a peeked pointer that succeeds has met the same object (no ABA).
//
// Order: Load, Peek and what a comparison has found acquire, what is stored is released, Exchange
// and CompareExchange do both; a comparison that fails only acquires. That is less than
// std::atomic's default: two threads that each store to one cell and then load the other may both
// find the former values. Where that matters both put a
// std::atomic_thread_fence(std::memory_order_seq_cst) in between, each the other's partner.
//
// Progress: all operations are lock-free; Load, and a CompareExchange that has failed and loads,
// repeat only when another thread has replaced the value in between. Peek and a CompareExchange by
// a peeked pointer are wait-free but for the counts of the targets (compare-exchange loops, where
// they are shared).
//
// Wrong calls: a pointer that is given to TryRef or to a comparison as peeked must have been shown
// by Peek in a scope of this thread that is open still, or be null; Reef cannot tell. An
// AtomicMember outside a managed object, or with a target in another heap: checked builds abort
// when it is stored; in others it is an edge that nobody traces, and its target may be collected
// under it. A Ref that was moved from is empty, and stored as null. To end a cell while another
// thread uses it is a data race.
//
// CompareExchangeWeak is for loops, as std::atomic's. Here it does what CompareExchange does: an
// attempt counts the desired target up and, if it fails, down again, which costs more than any
// exchange that is repeated inside. It exists so that code written for std::atomic, and loops that
// say what they can bear, need no change.
#ifndef REEF_ATOMIC_H_
#define REEF_ATOMIC_H_

#include <atomic>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/count.h"
#include "reef/internal/edge.h"
#include "reef/internal/published.h"
#include "reef/internal/slot.h"
#include "reef/ref.h"
#include "reef/trace.h"

namespace reef {

// While one is open on a thread, nothing that the thread peeks at, and nothing that it still holds
// by its own edges, is destroyed. Scopes nest, and may end in any order: what was peeked at stays
// until the last of those that were open has ended. Keep them short: a thread that sleeps in one
// delays the destruction of published objects (but neither the collector nor anybody's other
// frees). Heap::Collect is refused inside one. A scope ends on the thread that opened it, and
// before that thread does: checked builds abort otherwise (do not hold one over a coroutine's
// suspension, nor on the free store). In other builds a scope that its thread has left open is over
// with the thread; to end it then, or on another thread, is undefined.
class ReadScope {
 public:
  ReadScope() : slot_(internal::CurrentSlot()) {
    if (slot_->scope_depth++ == 0) {
      // Relaxed and a compiler barrier: the grace period's membarrier is the fence.
      slot_->scope.store(slot_->scope.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
      if (REEF_UNLIKELY(slot_->fenced)) {
        (void)slot_->scope.fetch_add(0, std::memory_order_seq_cst);
      }
      internal::CompilerBarrier();
    }
  }
  ~ReadScope() {
    REEF_DCHECK(slot_ == internal::tls_slot, "a ReadScope ends on another thread than it began on",
                "do not switch fibers, nor suspend a coroutine, inside one");
    if (--slot_->scope_depth == 0) {
      // Release: the reads in the scope come before the destruction that waits for it.
      slot_->scope.store(slot_->scope.load(std::memory_order_relaxed) + 1,
                         std::memory_order_release);
    }
  }
  ReadScope(const ReadScope&) = delete;
  ReadScope& operator=(const ReadScope&) = delete;

 private:
  internal::Slot* const slot_;
};

// A root to an object that `Peek` showed in `scope`: null if its last reference has gone since.
// (RefTo must not be used for it: the object may be dead already, although the scope keeps it
// whole.)
template <typename T>
[[nodiscard]] Ref<T> TryRef(const ReadScope& /*scope*/, T* peeked) noexcept {
  if (peeked == nullptr || !internal::TryCountPeeked(const_cast<std::remove_const_t<T>*>(peeked))) {
    return nullptr;
  }
  return Ref<T>::FromOwned(peeked);
}

// An atomic root: globals, statics, members of ordinary classes. Empty at first. Null is a value.
// (Inside a managed object it makes a root there; checked builds report it: use AtomicMember.)
template <typename T>
class AtomicRef {
 public:
  constexpr AtomicRef() noexcept = default;
  // Not atomic, like every constructor: nobody else knows the cell yet.
  explicit AtomicRef(Ref<T> initial) noexcept {
    CheckPlace(initial.get());
    internal::InitPublished(cell_, internal::Kind::kExt, Plain(initial.Release()));
  }
  // The destructor is not atomic: no other thread may use the object any more.
  ~AtomicRef() { Store(nullptr); }
  AtomicRef(const AtomicRef&) = delete;
  AtomicRef& operator=(const AtomicRef&) = delete;

  // A counted root to the current target.
  Ref<T> Load() const noexcept {
    return Ref<T>::FromOwned(static_cast<T*>(internal::LoadPublished(cell_)));
  }
  void Store(Ref<T> desired) noexcept {
    CheckPlace(desired.get());
    internal::StorePublished(cell_, internal::Kind::kExt, Plain(desired.Release()));
  }
  // Replaces the target and returns the former one.
  Ref<T> Exchange(Ref<T> desired) noexcept {
    CheckPlace(desired.get());
    return Ref<T>::FromOwned(static_cast<T*>(
        internal::ExchangePublished(cell_, internal::Kind::kExt, Plain(desired.Release()))));
  }
  // Stores `desired` if the target is `expected`. On failure loads the target into `expected`, in a
  // step of its own: by then it may be the expected one again, or null.
  bool CompareExchange(Ref<T>& expected, Ref<T> desired) noexcept {
    T* seen = expected.get();
    if (Replace(seen, std::move(desired))) return true;
    expected = Load();
    return false;
  }
  // The same with a pointer that Peek showed in `scope` (or null), of which no count is touched. On
  // failure `expected` is what the cell held instead, as Peek would have shown it.
  bool CompareExchange(const ReadScope& /*scope*/, T*& expected, Ref<T> desired) noexcept {
    return Replace(expected, std::move(desired));
  }
  bool CompareExchangeWeak(Ref<T>& expected, Ref<T> desired) noexcept {
    return CompareExchange(expected, std::move(desired));
  }
  bool CompareExchangeWeak(const ReadScope& scope, T*& expected, Ref<T> desired) noexcept {
    return CompareExchange(scope, expected, std::move(desired));
  }
  // The current target, uncounted: valid until `scope` ends, and a Ref to it by TryRef. Acquire:
  // what was written before the Store is visible.
  T* Peek(const ReadScope& /*scope*/) const noexcept {
    return static_cast<T*>(cell_.load(std::memory_order_acquire));
  }

 private:
  static void* Plain(const T* pointer) { return const_cast<std::remove_const_t<T>*>(pointer); }
  void CheckPlace(const T* target) const {
    if (REEF_IS_CHECKED && target != nullptr) internal::CheckRootPlace(this);
  }
  bool Replace(T*& expected, Ref<T> desired) {
    CheckPlace(desired.get());
    void* seen = Plain(expected);
    if (internal::CompareExchangePublished(cell_, internal::Kind::kExt, &seen,
                                           Plain(desired.get()))) {
      (void)desired.Release();
      return true;
    }
    expected = static_cast<T*>(seen);
    return false;
  }

  std::atomic<void*> cell_{nullptr};
};

// An atomic edge: a data member of a managed object, visited by its Trace. Empty at first. Its
// operations are those of AtomicRef.
template <typename T>
class AtomicMember {
 public:
  constexpr AtomicMember() noexcept = default;
  // Not atomic, like every constructor: the object is not shared yet.
  explicit AtomicMember(Ref<T> initial) noexcept {
    Check(initial.get());
    internal::InitPublished(edge_.cell(), internal::Kind::kHeap, Plain(initial.Release()));
  }
  ~AtomicMember() = default;
  AtomicMember(const AtomicMember&) = delete;
  AtomicMember& operator=(const AtomicMember&) = delete;

  Ref<T> Load() const noexcept {
    return Ref<T>::FromOwned(static_cast<T*>(internal::LoadPublished(edge_.cell())));
  }
  void Store(Ref<T> desired) noexcept {
    Check(desired.get());
    internal::StorePublished(edge_.cell(), internal::Kind::kHeap, Plain(desired.Release()));
  }
  Ref<T> Exchange(Ref<T> desired) noexcept {
    Check(desired.get());
    return Ref<T>::FromOwned(static_cast<T*>(internal::ExchangePublished(
        edge_.cell(), internal::Kind::kHeap, Plain(desired.Release()))));
  }
  bool CompareExchange(Ref<T>& expected, Ref<T> desired) noexcept {
    T* seen = expected.get();
    if (Replace(seen, std::move(desired))) return true;
    expected = Load();
    return false;
  }
  bool CompareExchange(const ReadScope& /*scope*/, T*& expected, Ref<T> desired) noexcept {
    return Replace(expected, std::move(desired));
  }
  bool CompareExchangeWeak(Ref<T>& expected, Ref<T> desired) noexcept {
    return CompareExchange(expected, std::move(desired));
  }
  bool CompareExchangeWeak(const ReadScope& scope, T*& expected, Ref<T> desired) noexcept {
    return CompareExchange(scope, expected, std::move(desired));
  }
  T* Peek(const ReadScope& /*scope*/) const noexcept {
    return static_cast<T*>(edge_.GetForMarker());
  }

 private:
  friend struct internal::EdgeAccess;
  static void* Plain(const T* pointer) { return const_cast<std::remove_const_t<T>*>(pointer); }
  void Check(const T* target) const {
    if (REEF_IS_CHECKED && target != nullptr) internal::CheckEdgeTarget(this, target);
  }
  bool Replace(T*& expected, Ref<T> desired) {
    Check(desired.get());
    void* seen = Plain(expected);
    if (internal::CompareExchangePublished(edge_.cell(), internal::Kind::kHeap, &seen,
                                           Plain(desired.get()))) {
      (void)desired.Release();
      return true;
    }
    expected = static_cast<T*>(seen);
    return false;
  }

  internal::Edge edge_;
};

}  // namespace reef

#endif  // REEF_ATOMIC_H_
