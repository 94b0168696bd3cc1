// A Trace that is not const would make the type a leaf.
// EXPECT: Trace must be const
#include "reef/reef.h"

struct Item {};
struct Node {
  void Trace(reef::Visitor& v) { v.Visit(item); }
  reef::Member<Item> item;
};

int main() { (void)reef::Make<Node>(); }
