// What the suites about the collector share: a heap whose collections the test runs itself.
#ifndef REEF_TESTS_COLLECTOR_SUPPORT_H_
#define REEF_TESTS_COLLECTOR_SUPPORT_H_

#include <array>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

#include "lib/collector/collected_heap.h"
#include "lib/collector/cycle.h"
#include "lib/collector/marker.h"
#include "lib/collector/roots.h"
#include "lib/collector/verifier.h"
#include "tests/object/support.h"

namespace reef::collector::test {

using object::test::AddEdge;
using object::test::AddRoot;
using object::test::Counts;
using object::test::DropEdge;
using object::test::DropRoot;
using object::test::Node;
using object::test::StageOf;
using threads::test::Actor;

inline void NoPoll() {}

// More edges than a chunk of the mark stack has entries.
struct Fan {
  static constexpr size_t kEdges = 3'000;
  void Trace(Visitor& visitor) const {
    for (const Member<Node>& edge : edges) visitor.Visit(edge);
  }
  std::array<Member<Node>, kEdges> edges;
};

// Objects of a heap that no collector thread knows of.
class CollectorTest : public object::test::ObjectTest {
 protected:
  CollectorTest() {
    heap_.core = &core_;
    heap_.options.automatic = true;
    heap_.space = std::move(space_);
    core_.collected = &heap_;
  }
  ~CollectorTest() override { space_ = std::move(heap_.space); }

  // An object with one root, made by the calling thread.
  template <typename T, typename... Args>
  T* New(Args&&... args) {
    space_.swap(heap_.space);
    T* object = Make<T>(std::forward<Args>(args)...);
    space_.swap(heap_.space);
    return object;
  }
  Node* NewNode() { return New<Node>(&ends_); }

  template <typename T>
  static internal::Edge& EdgeOf(Member<T>& member) {
    return const_cast<internal::Edge&>(internal::EdgeAccess::Of(member));
  }
  template <typename T>
  static void Point(Member<T>& from, std::type_identity_t<T>* to) {
    EdgeOf(from).Store(to);
  }
  // Two objects that only refer to each other.
  Node* MakeGarbage() {
    Node* one = NewNode();
    Node* two = NewNode();
    Point(one->next, two);
    Point(two->next, one);
    DropRoot(one);
    DropRoot(two);
    return one;
  }
  CollectionReport Collect() { return Cycle(&heap_, &NoPoll).Run(); }
  const Space& space() const { return *heap_.space; }

  CollectedHeap heap_;
};

}  // namespace reef::collector::test

#endif  // REEF_TESTS_COLLECTOR_SUPPORT_H_
