// The main of every test program. Death tests run in a fresh process: a fork alone would copy a
// process whose other threads, the collector among them, no longer exist.

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
