// Objects are made plain; a Ref may then be converted.
// EXPECT: make a plain T, then convert the Ref
#include "reef/reef.h"

struct Item {};

int main() { (void)reef::Make<const Item>(); }
