// A Finalize that takes no object would be called by nobody.
// EXPECT: Finalize must be public and take the object
#include "reef/reef.h"

struct Session {
  void Finalize() {}
};

int main() { (void)reef::Make<Session>(); }
