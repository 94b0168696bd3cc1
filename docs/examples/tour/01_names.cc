// Names: copying a handle gives one object another name, never another object.
//
// RefCount says how many names there are. It counts its own argument too, as Python's
// sys.getrefcount does: four for three names.
#include <iostream>
#include <vector>

#include "reef/reef.h"

using List = std::vector<int>;  // any type can be managed

int main() {
  reef::Ref<List> x = reef::Make<List>(List{1, 2, 3});
  reef::Ref<List> y = x;
  reef::Ref<List> z = y;
  z->push_back(4);

  std::cout << "Three names for one list\n\n"
            << "  Python                    Reef\n"
            << "  x = [1, 2, 3]             Ref<List> x = Make<List>(List{1, 2, 3});\n"
            << "  y = x                     Ref<List> y = x;\n"
            << "  z = y                     Ref<List> z = y;\n"
            << "  z.append(4)               z->push_back(4);\n"
            << "  sys.getrefcount(x)  4     RefCount(x)  " << reef::RefCount(x) << "\n"
            << "  len(x)              4     x->size()    " << x->size() << "\n\n"
            << "The count: x, y, z, and the argument of the call.\n";
}
