// The same where one that could be called is a base's, and hidden: its users could re-arm it.
// EXPECT: Finalize must be public and take the object
#include "reef/reef.h"

struct Base {
  void Finalize(reef::Ref<Base> /*self*/) {}
};
struct Session : Base {
  void Finalize(int /*how*/) {}
  void Finalize(long /*how*/) {}
};

int main() { (void)reef::Make<Session>(); }
