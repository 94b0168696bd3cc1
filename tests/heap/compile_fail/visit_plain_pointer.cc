// A plain pointer is no edge.
// EXPECT: Visit takes reef::Member
#include "reef/reef.h"

struct Node {
  void Trace(reef::Visitor& v) const { v.Visit(next); }
  Node* next = nullptr;
};

int main() { (void)reef::Make<Node>(); }
