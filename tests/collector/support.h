// What the suites about the collector share: a heap whose collections the test runs itself.
#ifndef REEF_TESTS_COLLECTOR_SUPPORT_H_
#define REEF_TESTS_COLLECTOR_SUPPORT_H_

#include <memory>
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

  Node* NewNode() {
    space_.swap(heap_.space);
    Node* node = Make<Node>(&ends_);
    space_.swap(heap_.space);
    return node;
  }

  static void Point(Member<Node>& from, Node* to) {
    const_cast<internal::Edge&>(internal::EdgeAccess::Of(from)).Store(to);
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
