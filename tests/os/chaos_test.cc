// Chaos points: nothing at all, unless the build asks for them.
#include "lib/os/chaos.h"

#include <cstdlib>
#include <string_view>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

#if defined(REEF_CHAOS) && REEF_CHAOS
TEST(ChaosDeathTest, SeedIsPrintedUnlessGiven) {
  EXPECT_EXIT(
      {
        (void)unsetenv("REEF_SEED");
        for (int i = 0; i < 100; ++i) REEF_CHAOS_POINT("test");
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "REEF_SEED=[0-9]+");
  EXPECT_EXIT(
      {
        (void)setenv("REEF_SEED", "7", 1);
        REEF_CHAOS_POINT("test");
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

int g_hooked = 0;

TEST(ChaosTest, HookIsCalledAtEveryPointUntilTakenAway) {
  SetChaosHook([](const char* name) { g_hooked += std::string_view(name) == "test" ? 1 : 100; });
  REEF_CHAOS_POINT("test");
  REEF_CHAOS_POINT("test");
  SetChaosHook(nullptr);
  REEF_CHAOS_POINT("test");
  EXPECT_EQ(g_hooked, 2);
}
#else
TEST(ChaosTest, PointsAreNothingInOtherBuilds) {
  [[maybe_unused]] bool evaluated = false;
  REEF_CHAOS_POINT((evaluated = true, "test"));
  EXPECT_FALSE(evaluated);
}
#endif

}  // namespace
}  // namespace reef::os
