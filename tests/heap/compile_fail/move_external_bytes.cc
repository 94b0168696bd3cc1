// The heap is found by the address of the ExternalBytes.
// EXPECT: deleted
#include <utility>

#include "reef/reef.h"

int main() {
  reef::ExternalBytes one;
  reef::ExternalBytes two(std::move(one));
}
