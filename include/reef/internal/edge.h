// An edge between managed objects: one pointer, and the deletion barrier around its changes.
//
// Every change is one bracket: {armed: log old and new target if white · count the new target up ·
// change the pointer · count the old target down · if that was the last, the old target is DEAD and
// DYING}. The collector can therefore never see the edge gone and the count still up, which would
// let it condemn an object that this thread is about to touch. The old target is logged because the
// collector promises to mark what was reachable when it began (snapshot at the beginning). The log
// of the new one serves two ends: of a moved Ref it is the log of the conversion, which
// ConvertToHeap does not write itself; and a ReadScope may show an unmarked object that is
// re-attached without a count.
//
// One writer at a time, as for any C++ field; the collector reads concurrently.
#ifndef REEF_INTERNAL_EDGE_H_
#define REEF_INTERNAL_EDGE_H_

#include <atomic>

#include "reef/internal/chaos_point.h"
#include "reef/internal/check.h"
#include "reef/internal/count.h"
#include "reef/internal/slot.h"

namespace reef::internal {

// Checked builds: aborts unless `edge` lies in an object of a heap, and its target in the same one.
void CheckEdgePlace(const void* edge);
void CheckEdgeTarget(const void* edge, const void* target);
// Checked builds: aborts unless `payload` is a managed object that lives.
void CheckManaged(const void* payload);
// The same, but it may be in its destructor.
void CheckManagedOrDying(const void* payload);
// Checked builds: reports, once, a Ref or AtomicRef that lies inside a managed object.
void CheckRootPlace(const void* root);

class Edge;
// Edge::Adopt in all cases (lib/object/edge.cc).
void AdoptGeneral(Edge* edge, void* payload);

class Edge {
 public:
  constexpr Edge() = default;
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;
  REEF_INLINE ~Edge() { Reset(); }

  // By the writer: relaxed, its own stores or those of the writer before it, which whoever passed
  // the field on has ordered.
  void* Get() const { return target_.load(std::memory_order_relaxed); }
  // By the marker: acquire pairs with the store's release, so the target's header is written.
  void* GetForMarker() const { return target_.load(std::memory_order_acquire); }

  // For AtomicMember and AtomicMarkedMember, whose operations are in lib/object/published.cc.
  std::atomic<void*>& cell() { return target_; }
  const std::atomic<void*>& cell() const { return target_; }

  // Empties the edge.
  REEF_INLINE void Reset() {
    if (void* old = Get()) DropEdge(&target_, Header::Of(old));
  }
  // Points the edge at `payload` (or nothing), counting a new reference.
  REEF_INLINE void Store(void* payload) { Change<false>(payload); }
  // The same, taking over a root that the caller gives up (a moved Ref).
  REEF_INLINE void Adopt(void* payload) {
    if (payload != nullptr && Get() == nullptr) return AdoptFirst(payload);
    AdoptGeneral(this, payload);
  }
  // The same for an edge that is empty, with something to adopt. Inline is the common case: no
  // collection is armed, and the object has a single root, counted by this thread.
  REEF_INLINE void AdoptFirst(void* payload) {
    if (REEF_IS_CHECKED) CheckEdgeTarget(this, payload);
    Slot* slot = tls_slot;
    Header* header = Header::Of(payload);
    const auto sole = static_cast<uint32_t>(slot->birth);  // nothing is biased to the null slot
    bool adopted = false;
    // Read before the bracket, acted upon inside it: only this thread can change either word while
    // they say so (I4).
    if (REEF_LIKELY(header->Local(std::memory_order_relaxed) == sole && IsPrivate(header))) {
      REEF_CHAOS_POINT("sole by its look, bracket not entered");
      const BareBracket bracket(slot);
      adopted = bracket.idle();
      if (REEF_LIKELY(adopted)) {
        header->SetLocal(sole + kLocalHeap - kLocalExt);
        target_.store(payload, std::memory_order_release);
        if (!IsLeafColour(header->Colour())) CountSuspect(slot);
      }
    }
    if (REEF_UNLIKELY(!adopted)) AdoptGeneral(this, payload);
  }

  // Takes the target of `from`, and drops its own, in one bracket; no count changes for what moves.
  // `from` may be reachable only through this edge.
  void MoveAssign(Edge& from) {
    if (this == &from) return;
    void* payload = from.Get();
    void* old = Get();
    if (payload == nullptr) {
      Reset();
      return;
    }
    if (REEF_IS_CHECKED) CheckEdgeTarget(this, payload);
    Slot* slot = CurrentSlot();
    Header* due = nullptr;
    {
      const Bracket bracket(slot);
      if (REEF_UNLIKELY(bracket.armed())) {
        LogIfWhite(bracket, Header::Of(payload));
        if (old != nullptr) LogIfWhite(bracket, Header::Of(old));
      }
      // In this order, here and in MoveFrom: a thread that a fork cuts off in between leaves too
      // few edges for what is counted, never too many. A marker that finds neither has the log.
      from.target_.store(nullptr, std::memory_order_release);
      REEF_CHAOS_POINT("source emptied, edge not stored");
      target_.store(payload, std::memory_order_release);
      CountSuspect(slot);
      REEF_CHAOS_POINT("edge stored, former target not dropped");
      if (old != nullptr) due = DropHeap(bracket, Header::Of(old));
    }
    if (REEF_UNLIKELY(due != nullptr)) Die(slot, due);
  }

  // Takes the target out of `from` without a change of counts; this edge must be empty.
  void MoveFrom(Edge& from) {
    void* payload = from.Get();
    if (payload == nullptr) return;
    if (REEF_IS_CHECKED) CheckEdgeTarget(this, payload);
    Slot* slot = CurrentSlot();
    const Bracket bracket(slot);
    Header* header = Header::Of(payload);
    if (REEF_UNLIKELY(bracket.armed())) LogIfWhite(bracket, header);
    from.target_.store(nullptr, std::memory_order_release);
    REEF_CHAOS_POINT("source emptied, edge not stored");
    target_.store(payload, std::memory_order_release);
    CountSuspect(slot);
  }

  // Takes the target out as a root; the caller owns one `ext` of the result.
  [[nodiscard]] void* Take() {
    void* payload = Get();
    if (payload == nullptr) return nullptr;
    Header* due = nullptr;
    Slot* slot = CurrentSlot();
    {
      const Bracket bracket(slot);
      Header* header = Header::Of(payload);
      if (REEF_UNLIKELY(bracket.armed())) LogIfWhite(bracket, header);
      Increment(slot, header, Kind::kExt);
      REEF_CHAOS_POINT("root counted, edge not emptied");
      target_.store(nullptr, std::memory_order_release);
      REEF_CHAOS_POINT("edge emptied, target not dropped");
      due = DropHeap(bracket, header);
    }
    if (REEF_UNLIKELY(due != nullptr)) Die(slot, due);  // a revocation; the root keeps it alive
    return payload;
  }

  // By the collector only, on condemned objects: empties the edge without counting.
  void* Clear() {
    void* payload = target_.load(std::memory_order_acquire);
    target_.store(nullptr, std::memory_order_release);
    return payload;
  }

  static void CountSuspect(Slot* slot) {
    // Owner only; the collector's sample is ordered by its rendezvous.
    slot->suspects.store(slot->suspects.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
  }

 private:
  friend void AdoptGeneral(Edge* edge, void* payload);

  template <bool kAdopt>
  REEF_INLINE void Change(void* payload) {
    void* old = Get();
    if (old == nullptr && payload == nullptr) return;
    if (REEF_IS_CHECKED && payload != nullptr) CheckEdgeTarget(this, payload);
    Header* dead = nullptr;
    Header* due = nullptr;
    Slot* slot = CurrentSlot();
    {
      const Bracket bracket(slot);
      if (REEF_UNLIKELY(bracket.armed())) {
        if (old != nullptr) LogIfWhite(bracket, Header::Of(old));
        if (payload != nullptr) LogIfWhite(bracket, Header::Of(payload));
      }
      if (payload != nullptr) {
        if constexpr (kAdopt) {
          due = ConvertToHeap(bracket, Header::Of(payload));
        } else {
          Increment(slot, Header::Of(payload), Kind::kHeap);
        }
      }
      REEF_CHAOS_POINT("target counted, edge not stored");
      // Release: the marker that follows the edge finds the target's header.
      target_.store(payload, std::memory_order_release);
      REEF_CHAOS_POINT("edge stored, former target not dropped");
      if (old != nullptr) dead = DropHeap(bracket, Header::Of(old));
    }
    if (kAdopt && REEF_UNLIKELY(due != nullptr)) Die(slot, due);
    if (REEF_UNLIKELY(dead != nullptr)) Die(slot, dead);
  }

  std::atomic<void*> target_{nullptr};
};

}  // namespace reef::internal

#endif  // REEF_INTERNAL_EDGE_H_
