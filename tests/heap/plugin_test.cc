// dlclose of a library that defined managed types: its objects live on, and die by its code.

#include "tests/heap/plugin/plugin.h"

#include <dlfcn.h>

#include <memory>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

TEST(PluginTest, TypesOutliveTheClosingOfTheirLibrary) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  int dead = 0;
  void* library = dlopen(REEF_TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto make = reinterpret_cast<test::MakeShapes>(dlsym(library, "MakeTriangles"));
  ASSERT_NE(make, nullptr) << dlerror();
  std::unique_ptr<Ref<test::Shape>> ring(make(heap.get(), &dead));
  ASSERT_EQ(dlclose(library), 0);

  void* again = dlopen(REEF_TEST_PLUGIN, RTLD_NOW | RTLD_NOLOAD);
  EXPECT_NE(again, nullptr) << "the library has gone";
  if (again == nullptr) std::_Exit(1);  // its objects can be neither kept nor destroyed
  (void)dlclose(again);

  EXPECT_EQ((*ring)->Corners(), 3);
  (void)heap->Collect();
  EXPECT_EQ(dead, 0);
  ring.reset();
  EXPECT_EQ(heap->Collect().objects, 2u);
  EXPECT_EQ(dead, 2);
}

TEST(PluginTest, LibrariesWithoutObjectsAreClosed) {
  void* library = dlopen(REEF_TEST_IDLE_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  ASSERT_EQ(dlclose(library), 0);
  EXPECT_EQ(dlopen(REEF_TEST_IDLE_PLUGIN, RTLD_NOW | RTLD_NOLOAD), nullptr);
}

}  // namespace
}  // namespace reef
