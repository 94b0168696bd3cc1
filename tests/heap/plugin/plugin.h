// What a shared library that defines a managed type shows to the program that opens and closes it.
#ifndef REEF_TESTS_HEAP_PLUGIN_PLUGIN_H_
#define REEF_TESTS_HEAP_PLUGIN_PLUGIN_H_

#include "reef/reef.h"

namespace reef::test {

struct Shape {
  virtual ~Shape() = default;
  virtual int Corners() const = 0;
  virtual void Trace(Visitor& v) const { v.Visit(next); }
  Member<Shape> next;
};

// "MakePolygons": a ring of two shapes of the library's own type, with as many corners as it was
// built for, whose destructors add that number to *dead.
using MakeShapes = Ref<Shape>* (*)(Heap* heap, int* dead);

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_PLUGIN_PLUGIN_H_
