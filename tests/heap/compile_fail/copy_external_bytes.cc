// The bytes belong to the object that the ExternalBytes is a member of.
// EXPECT: deleted
#include "reef/reef.h"

struct Tensor {
  reef::ExternalBytes bytes;
};

int main() {
  Tensor one;
  Tensor two = one;
}
