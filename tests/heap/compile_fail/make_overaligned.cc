// Objects are aligned to a slab at most.
// EXPECT: Reef aligns objects to 64 KiB at most
#include "reef/reef.h"

struct alignas(131072) Wide {
  char byte = 0;
};

int main() { (void)reef::Make<Wide>(); }
