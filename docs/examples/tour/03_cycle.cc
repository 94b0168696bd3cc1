// Cycles: two objects that refer to each other keep each other alive when all names are gone.
//
// Counting cannot see that nobody else needs them; the collector can. It finds cycles by itself, in
// the background. Collect() does it now and says what it reclaimed, as Python's gc.collect does.
#include <iostream>

#include "reef/reef.h"

struct Person {
  explicit Person(const char* given_name) : name(given_name) {}

  const char* name;
  reef::Member<Person> partner;  // an edge inside an object is a Member
  // Shows the collector every edge.
  void Trace(reef::Visitor& visitor) const { visitor.Visit(partner); }
};

int main() {
  reef::Heap& heap = reef::DefaultHeap();
  reef::Ref<Person> ada = heap.Make<Person>("Ada");
  reef::Ref<Person> bob = heap.Make<Person>("Bob");
  ada->partner = bob;
  bob->partner = ada;

  std::cout << "Two objects in a cycle\n\n"
            << "  Python                    Reef\n"
            << "  ada.partner = bob         ada->partner = bob;\n"
            << "  bob.partner = ada         bob->partner = ada;\n"
            << "  del ada, bob              ada.Reset(); bob.Reset();\n"
            << "  gc.collect()  2           heap.Collect().objects  ";

  ada.Reset();
  bob.Reset();
  const auto alive_before = heap.Stats().live_objects;
  std::cout << heap.Collect().objects << "\n\n"
            << "Alive without a name: " << alive_before
            << ". After the collection: " << heap.Stats().live_objects << ".\n";
}
