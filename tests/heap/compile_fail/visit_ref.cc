// A Ref is a root: Trace cannot visit it.
// EXPECT: A Ref is a root and is not visited
#include "reef/reef.h"

struct Item {};
struct Node {
  void Trace(reef::Visitor& v) const { v.Visit(item); }
  reef::Ref<Item> item;
};

int main() { (void)reef::Make<Node>(); }
