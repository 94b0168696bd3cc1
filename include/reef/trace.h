// The Trace contract: how a type declares its edges.
//
//   struct Account {
//     reef::Member<Account> parent;
//     reef::Vector<Account> children;
//     void Trace(reef::Visitor& v) const { v.Visit(parent, children); }
//   };
//
// A type is *traced* if and only if it has Trace; without it, it is a *leaf*: cheaper, and never
// looked at by the collector. Rules:
//  - Trace visits every edge (Member, AtomicMember, AtomicMarkedMember, Vector) of the object, of
//    its bases and of its plain parts, once, and none of another object; a part that has a Trace of
//    its own may be visited as such. A forgotten edge can keep a cycle from being found, or let its
//    target be collected early: visit them all. One visited twice makes Heap::Verify report an edge
//    too many; another object's is emptied when this one is collected.
//  - Trace runs on collector threads while other threads use the object. It reads nothing but
//    Reef's own fields, which are safe to read then, waits for nobody and allocates nothing in a
//    heap. One that throws ends the process (std::terminate).
//  - It is public and const. One that is not const does not compile with Make; a private one, or
//    one with other parameters, cannot be told from none: the type is a leaf, and checked builds
//    abort at the first store to an edge in it. In other builds nobody traces that edge.
//  - A type that inherits its base's Trace and adds edges needs one of its own, which visits both.
//    Nobody can tell that it lacks one.
//  - A std container of edges cannot be visited: it may reallocate during the visit. Use
//    reef::Vector.
//
// Follows tracing in V8's cppgc (Trace, Visitor, Member).
#ifndef REEF_TRACE_H_
#define REEF_TRACE_H_

#include <type_traits>

#include "reef/internal/check.h"
#include "reef/internal/edge.h"
#include "reef/internal/header.h"
#include "reef/internal/marked_word.h"
#include "reef/internal/type_info.h"

namespace reef {

template <typename T>
class Member;
template <typename T>
class AtomicMember;
template <typename T>
class AtomicMarkedMember;
template <typename T>
class Vector;

namespace internal {

// Gives the collector, and nobody else, the edge inside a handle.
struct EdgeAccess {
  template <typename Handle>
  static const Edge& Of(const Handle& handle) {
    return handle.edge_;
  }
};

template <typename T>
struct IsEdgeHandle : std::false_type {};
template <typename T>
struct IsEdgeHandle<Member<T>> : std::true_type {};
template <typename T>
struct IsEdgeHandle<AtomicMember<T>> : std::true_type {};
template <typename T>
struct IsEdgeHandle<Vector<T>> : std::true_type {};

// An edge whose word carries a mark.
template <typename T>
struct IsMarkedHandle : std::false_type {};
template <typename T>
struct IsMarkedHandle<AtomicMarkedMember<T>> : std::true_type {};

}  // namespace internal

// Handed to Trace. Its users are the collector's marker, its clear phase and the verifier.
class Visitor {
 public:
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  // Visits each of the fields. Does not compile for anything that is not an edge or has no Trace.
  template <typename... Fields>
  void Visit(const Fields&... fields) {
    (VisitOne(fields), ...);
  }

  // Engine use: visits one bare edge.
  void VisitEdge(const internal::Edge& edge) {
    if (REEF_UNLIKELY(on_edge_ != nullptr)) {
      on_edge_(*this, const_cast<internal::Edge&>(edge));
      return;
    }
    Collect(edge.GetForMarker());
  }
  // The same for an edge that carries a mark. A visitor that is shown edges takes it off itself.
  void VisitMarkedEdge(const internal::Edge& edge) {
    if (REEF_UNLIKELY(on_edge_ != nullptr)) {
      on_edge_(*this, const_cast<internal::Edge&>(edge));
      return;
    }
    Collect(internal::TargetOf(edge.GetForMarker()));
  }

 protected:
  using EdgeFunction = void (*)(Visitor&, internal::Edge&);
  using FlushFunction = void (*)(Visitor&);

  // A visitor that is shown each edge itself, whose word may carry a mark.
  explicit Visitor(EdgeFunction on_edge) : on_edge_(on_edge) {}
  // A visitor that collects targets in a buffer, and has `flush` make room when it is full.
  Visitor(internal::Header** begin, internal::Header** end, FlushFunction flush)
      : next_(begin), end_(end), flush_(flush) {}
  ~Visitor() = default;

  internal::Header** next_ = nullptr;
  internal::Header** end_ = nullptr;

 private:
  void Collect(void* payload) {
    if (payload == nullptr) return;
    if (REEF_UNLIKELY(next_ == end_)) flush_(*this);
    internal::Header* header = internal::Header::Of(payload);
    __builtin_prefetch(header);
    *next_++ = header;
  }

  template <typename Field>
  void VisitOne(const Field& field) {
    if constexpr (internal::IsEdgeHandle<Field>::value) {
      VisitEdge(internal::EdgeAccess::Of(field));
    } else if constexpr (internal::IsMarkedHandle<Field>::value) {
      VisitMarkedEdge(internal::EdgeAccess::Of(field));
    } else {
      static_assert(internal::HasTrace<Field>,
                    "Visit takes reef::Member, reef::AtomicMember, reef::Vector, or a part with a "
                    "Trace of its own. A Ref is a root and is not visited; instead of a std "
                    "container of Member use reef::Vector.");
      field.Trace(*this);
    }
  }

  EdgeFunction on_edge_ = nullptr;
  FlushFunction flush_ = nullptr;
};

}  // namespace reef

#endif  // REEF_TRACE_H_
