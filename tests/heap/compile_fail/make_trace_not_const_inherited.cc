// The same where the Trace is a base's.
// EXPECT: Trace must be const
#include "reef/reef.h"

struct Item {};
struct Base {
  virtual ~Base() = default;
  virtual void Trace(reef::Visitor& v) { v.Visit(item); }
  reef::Member<Item> item;
};
struct Node : Base {};

int main() { (void)reef::Make<Node>(); }
