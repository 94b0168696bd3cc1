// A std container of edges may reallocate while it is visited.
// EXPECT: instead of a std container of Member use reef::Vector
#include <vector>

#include "reef/reef.h"

struct Node {
  void Trace(reef::Visitor& v) const { v.Visit(children); }
  std::vector<reef::Member<Node>> children;
};

int main() { (void)reef::Make<Node>(); }
