// The same of one that Reef may not call.
// EXPECT: Finalize must be public and take the object
#include "reef/reef.h"

class Session {
  void Finalize(reef::Ref<Session> /*self*/) {}
};

int main() { (void)reef::Make<Session>(); }
