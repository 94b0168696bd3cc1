#include "tests/heap/plugin/plugin.h"

namespace reef::test {

// Not in an unnamed namespace: every library has a type of this name, each its own.
struct Polygon : Shape {
  explicit Polygon(int* d) : dead(d) {}
  ~Polygon() override { *dead += REEF_TEST_CORNERS; }
  int Corners() const override { return REEF_TEST_CORNERS; }
  int* dead;
};

extern "C" __attribute__((visibility("default"))) Ref<Shape>* MakePolygons(Heap* heap, int* dead) {
  Ref<Polygon> first = heap->Make<Polygon>(dead);
  first->next = heap->Make<Polygon>(dead);
  first->next->next = first;
  return new Ref<Shape>(std::move(first));
}

}  // namespace reef::test
