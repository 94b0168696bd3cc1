// The control: everything that the other files get wrong, done right.
// EXPECT: compiles
#include "reef/reef.h"

struct Item {
  int value = 0;
};
struct Part {
  void Trace(reef::Visitor& v) const { v.Visit(item); }
  reef::Member<Item> item;
};
struct Node {
  void Trace(reef::Visitor& v) const { v.Visit(next, children, shared, part); }
  reef::Member<Node> next;
  reef::Vector<Node> children;
  reef::AtomicMember<Node> shared;
  Part part;
};
struct alignas(65536) Wide {
  char byte = 0;
};

int main() {
  reef::Ref<Node> node = reef::Make<Node>();
  node->next = node;
  const reef::Ref<const Node> constant = node;
  return reef::Make<Wide>()->byte;
}
