#include "tests/heap/plugin/plugin.h"

namespace reef::test {
namespace {

struct Triangle : Shape {
  explicit Triangle(int* d) : dead(d) {}
  ~Triangle() override { ++*dead; }
  int Corners() const override { return 3; }
  int* dead;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Ref<Shape>* MakeTriangles(Heap* heap, int* dead) {
  Ref<Triangle> first = heap->Make<Triangle>(dead);
  first->next = heap->Make<Triangle>(dead);
  first->next->next = first;
  return new Ref<Shape>(std::move(first));
}

}  // namespace reef::test
