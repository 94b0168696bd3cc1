// What the suites of WeakKeyMap share: counted nodes and leaves, and a map of each.
#ifndef REEF_TESTS_HEAP_WEAK_KEY_MAP_SUPPORT_H_
#define REEF_TESTS_HEAP_WEAK_KEY_MAP_SUPPORT_H_

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef::test {

struct Node {
  explicit Node(Lives& lives, int own_number = 0) : life(lives), number(own_number) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  int number;
  Member<Node> next;
};

struct Leaf {
  explicit Leaf(Lives& lives, int own_number = 0) : life(lives), number(own_number) {}
  Life life;
  int number;
};

class WeakKeyMapTest : public QuietHeapTest {
 protected:
  Ref<Node> MakeNode(int number = 0) { return heap_->Make<Node>(lives_, number); }
  Ref<Leaf> MakeLeaf(int number = 0) { return heap_->Make<Leaf>(lives_, number); }

  WeakKeyMap<Node, Leaf> leaves_;
  WeakKeyMap<Node, Node> nodes_;
};

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_WEAK_KEY_MAP_SUPPORT_H_
