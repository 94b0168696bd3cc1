// A plain part must have a Trace of its own.
// EXPECT: a part with a Trace of its own
#include "reef/reef.h"

struct Item {};
struct Part {
  reef::Member<Item> item;
};
struct Node {
  void Trace(reef::Visitor& v) const { v.Visit(part); }
  Part part;
};

int main() { (void)reef::Make<Node>(); }
