// Prompt destruction: the destructor runs when the last name goes, before that statement ends.
//
// Nothing waits for a collector, so an object may own a file, a lock or a socket.
#include <iostream>

#include "reef/reef.h"

class Demo {
 public:
  ~Demo() { std::cout << "    Object destroyed\n"; }
};

int main() {
  std::cout << "An object is destroyed the moment its last name goes\n\n"
            << "  Python: del obj           Reef: obj.Reset();\n\n";

  reef::Ref<Demo> obj = reef::Make<Demo>();
  std::cout << "    before\n";
  obj.Reset();
  std::cout << "    after\n";
}
