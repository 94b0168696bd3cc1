// A destructor that throws would leave the worklist half done.
// EXPECT: destructor must not throw
#include "reef/reef.h"

struct Item {
  ~Item() noexcept(false) {}
};

int main() { (void)reef::Make<Item>(); }
