// dlclose of a library that defined managed types: its objects live on, and die by its code.

#include "tests/heap/plugin/plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

// A library of polygons, open for as long as this lives.
class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {}
  ~Library() {
    if (handle_ != nullptr) (void)dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  Ref<test::Shape> MakeRing(Heap& heap, int* dead) {
    const auto make = reinterpret_cast<test::MakeShapes>(dlsym(handle_, "MakePolygons"));
    const std::unique_ptr<Ref<test::Shape>> ring(make(&heap, dead));
    return std::move(*ring);
  }
  bool opened() const { return handle_ != nullptr; }

 private:
  void* const handle_;
};

bool IsInTheProcess(const char* path) {
  void* again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (again != nullptr) (void)dlclose(again);
  return again != nullptr;
}

TEST(PluginTest, TypesOutliveTheClosingOfTheirLibrary) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  int dead = 0;
  Ref<test::Shape> ring;
  {
    Library library(REEF_TEST_TRIANGLES);
    ASSERT_TRUE(library.opened()) << dlerror();
    ring = library.MakeRing(*heap, &dead);
  }
  if (!IsInTheProcess(REEF_TEST_TRIANGLES)) std::abort();  // its objects can neither stay nor go
  EXPECT_EQ(ring->Corners(), 3);
  (void)heap->Collect();
  EXPECT_EQ(dead, 0);
  ring.Reset();
  EXPECT_EQ(heap->Collect().objects, 2u);
  EXPECT_EQ(dead, 6);
}

// Two versions of a library, or two that were built with one toolkit: their types have a name in
// common and nothing else. Each library stays for its own objects.
TEST(PluginTest, TypesOfOneNameAreEachLibrarysOwn) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  int squares_dead = 0;
  int pentagons_dead = 0;
  Ref<test::Shape> squares;
  Ref<test::Shape> pentagons;
  {
    Library first(REEF_TEST_SQUARES);
    Library second(REEF_TEST_PENTAGONS);
    ASSERT_TRUE(first.opened() && second.opened()) << dlerror();
    squares = first.MakeRing(*heap, &squares_dead);
    pentagons = second.MakeRing(*heap, &pentagons_dead);
  }
  if (!IsInTheProcess(REEF_TEST_SQUARES) || !IsInTheProcess(REEF_TEST_PENTAGONS)) std::abort();
  EXPECT_EQ(squares->Corners(), 4);
  EXPECT_EQ(pentagons->Corners(), 5);
  squares.Reset();
  EXPECT_EQ(heap->Collect().objects, 2u);
  EXPECT_EQ(squares_dead, 8);
  EXPECT_EQ(pentagons_dead, 0);
  pentagons.Reset();
  EXPECT_EQ(heap->Collect().objects, 2u);
  EXPECT_EQ(pentagons_dead, 10);
}

TEST(PluginTest, LibrariesWithoutObjectsAreClosed) {
  {
    Library library(REEF_TEST_IDLE);
    ASSERT_TRUE(library.opened()) << dlerror();
  }
  EXPECT_FALSE(IsInTheProcess(REEF_TEST_IDLE));
}

}  // namespace
}  // namespace reef
