// The main of every test program. Death tests run in a fresh process: a fork alone would copy a
// process whose other threads, the collector among them, no longer exist.

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace {

// The chaos build's seed goes to stdout, and to the processes of death tests through the
// environment: the engine would print the one that it draws to stderr, where those tests look.
void ChooseChaosSeed() {
#if defined(REEF_CHAOS) && REEF_CHAOS
  if (std::getenv("REEF_SEED") == nullptr) {
    (void)setenv("REEF_SEED", std::to_string(std::random_device()()).c_str(), 0);
  }
  std::printf("REEF_SEED=%s\n", std::getenv("REEF_SEED"));
#endif
}

}  // namespace

int main(int argc, char** argv) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  testing::InitGoogleTest(&argc, argv);
  if (!GTEST_FLAG_GET(list_tests)) ChooseChaosSeed();
  return RUN_ALL_TESTS();
}
