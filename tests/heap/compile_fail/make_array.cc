// Arrays are not managed objects.
// EXPECT: arrays: use reef::Vector
#include "reef/reef.h"

int main() { (void)reef::Make<int[4]>(); }
