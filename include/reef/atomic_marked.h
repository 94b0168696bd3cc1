// AtomicMarkedMember<T>: an atomic edge that carries a mark, two bits that change in one step with
// the pointer or without it. The marked pointer of list algorithms; it has nothing to do with the
// collector's marking.
//
//   struct Node {
//     reef::AtomicMarkedMember<Node> next;   // mark 1: this node is removed
//     void Trace(reef::Visitor& v) const { v.Visit(next); }
//   };
//   reef::ReadScope scope;
//   reef::Marked<Node> next = node->next.Peek(scope);
//   while (next.mark == 0 && !node->next.CompareExchangeMark(scope, next, 1)) {}   // removed, once
//
// A null pointer carries a mark, too. The collector follows the pointer whatever the mark. All that
// reef/atomic.h says of published objects, scopes, order, progress and wrong calls holds here; so
// does what it says of CompareExchangeWeak.
//
// Follows the marked references of Harris (DISC 2001) and Michael (SPAA 2002).
#ifndef REEF_ATOMIC_MARKED_H_
#define REEF_ATOMIC_MARKED_H_

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "reef/atomic.h"
#include "reef/internal/check.h"
#include "reef/internal/edge.h"
#include "reef/internal/marked_word.h"
#include "reef/internal/published.h"
#include "reef/ref.h"
#include "reef/trace.h"

namespace reef {

// What such an edge holds, uncounted: valid in the scope in which it was peeked at. Also what to
// compare with: {} is no target and no mark.
template <typename T>
struct Marked {
  T* pointer = nullptr;
  uint32_t mark = 0;
  bool operator==(const Marked&) const = default;
};

// The same with a counted root.
template <typename T>
struct MarkedRef {
  Ref<T> ref;
  uint32_t mark = 0;
  bool operator==(const MarkedRef&) const = default;
};

// A data member of a managed object, visited by its Trace. Empty and with mark 0 at first. One
// pointer wide. Marks are 0 to 3, those of what is expected, too: checked builds abort on others,
// release builds drop their upper bits.
template <typename T>
class AtomicMarkedMember {
 public:
  static constexpr uint32_t kMaxMark = internal::kMarkBits;

  constexpr AtomicMarkedMember() noexcept = default;
  // Not atomic, like every constructor: the object is not shared yet.
  explicit AtomicMarkedMember(Ref<T> initial, uint32_t mark = 0) noexcept {
    Check(initial.get(), mark);
    internal::InitPublished(edge_.cell(), internal::Kind::kHeap, Word(initial.Release(), mark));
  }
  // Not atomic: the object is gone. What is left is a plain edge, which ends as such.
  ~AtomicMarkedMember() {
    void* word = edge_.cell().load(std::memory_order_acquire);
    // Release, after the acquire: who scans the object meanwhile still finds the target's header.
    if (internal::MarkOf(word) != 0) {
      edge_.cell().store(internal::TargetOf(word), std::memory_order_release);
    }
  }
  AtomicMarkedMember(const AtomicMarkedMember&) = delete;
  AtomicMarkedMember& operator=(const AtomicMarkedMember&) = delete;

  // A counted root to the target, and the mark that it had at that moment.
  MarkedRef<T> Load() const noexcept { return Counted(internal::LoadPublished(edge_.cell())); }
  void Store(Ref<T> desired, uint32_t mark = 0) noexcept {
    Check(desired.get(), mark);
    internal::StorePublished(edge_.cell(), internal::Kind::kHeap, Word(desired.Release(), mark));
  }
  // Replaces both and returns what was there.
  MarkedRef<T> Exchange(Ref<T> desired, uint32_t mark = 0) noexcept {
    Check(desired.get(), mark);
    return Counted(internal::ExchangePublished(edge_.cell(), internal::Kind::kHeap,
                                               Word(desired.Release(), mark)));
  }

  // Stores `desired` with `mark` if pointer and mark are those of `expected`. On failure loads what
  // is there into `expected`.
  bool CompareExchange(MarkedRef<T>& expected, Ref<T> desired, uint32_t mark = 0) noexcept {
    Marked<T> seen{expected.ref.get(), expected.mark};
    if (Replace(seen, std::move(desired), mark)) return true;
    expected = Load();
    return false;
  }
  // The same with what Peek showed in `scope`; no count of it is touched. On failure `expected` is
  // what was there instead, as Peek would have shown it.
  bool CompareExchange(const ReadScope& /*scope*/, Marked<T>& expected, Ref<T> desired,
                       uint32_t mark = 0) noexcept {
    return Replace(expected, std::move(desired), mark);
  }
  bool CompareExchangeWeak(MarkedRef<T>& expected, Ref<T> desired, uint32_t mark = 0) noexcept {
    return CompareExchange(expected, std::move(desired), mark);
  }
  bool CompareExchangeWeak(const ReadScope& scope, Marked<T>& expected, Ref<T> desired,
                           uint32_t mark = 0) noexcept {
    return CompareExchange(scope, expected, std::move(desired), mark);
  }

  // Replaces the mark alone, if pointer and mark are those of `expected`: one compare-exchange, no
  // count, no bracket, because the edge leads where it led. Wait-free.
  bool CompareExchangeMark(const ReadScope& /*scope*/, Marked<T>& expected,
                           uint32_t mark) noexcept {
    CheckMark(expected.mark);
    CheckMark(mark);
    void* seen = Word(expected.pointer, expected.mark);
    // Release: what the mark announces was done before. Acquire: what was found, on either outcome;
    // the target stays published by the release that stored it, whose sequence this continues.
    if (edge_.cell().compare_exchange_strong(seen, Word(expected.pointer, mark),
                                             std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
      return true;
    }
    expected = Uncounted(seen);
    return false;
  }

  // The current target and its mark, uncounted: valid until `scope` ends, and a Ref to it by
  // TryRef. Wait-free, one load.
  Marked<T> Peek(const ReadScope& /*scope*/) const noexcept {
    return Uncounted(edge_.GetForMarker());
  }

 private:
  friend struct internal::EdgeAccess;
  static void* Word(const T* pointer, uint32_t mark) { return internal::WithMark(pointer, mark); }
  static Marked<T> Uncounted(void* word) {
    return {static_cast<T*>(internal::TargetOf(word)), internal::MarkOf(word)};
  }
  static MarkedRef<T> Counted(void* word) {
    return {Ref<T>::FromOwned(static_cast<T*>(internal::TargetOf(word))), internal::MarkOf(word)};
  }
  static void CheckMark([[maybe_unused]] uint32_t mark) {
    REEF_DCHECK(mark <= kMaxMark, "a mark of more than two bits",
                "an AtomicMarkedMember carries the marks 0 to 3");
  }
  void Check(const T* target, uint32_t mark) const {
    CheckMark(mark);
    if (REEF_IS_CHECKED && target != nullptr) internal::CheckEdgeTarget(this, target);
  }
  bool Replace(Marked<T>& expected, Ref<T> desired, uint32_t mark) {
    CheckMark(expected.mark);
    Check(desired.get(), mark);
    void* seen = Word(expected.pointer, expected.mark);
    if (internal::CompareExchangePublished(edge_.cell(), internal::Kind::kHeap, &seen,
                                           Word(desired.get(), mark))) {
      (void)desired.Release();
      return true;
    }
    expected = Uncounted(seen);
    return false;
  }

  internal::Edge edge_;
};

}  // namespace reef

#endif  // REEF_ATOMIC_MARKED_H_
