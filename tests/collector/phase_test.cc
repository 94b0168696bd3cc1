// The names of phases and causes.
#include <set>
#include <string>

#include "gtest/gtest.h"

#include "reef/stats.h"

namespace reef {
namespace {

TEST(PhaseTest, EveryPhaseHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 0; i < kPhases; ++i) names.insert(PhaseName(static_cast<Phase>(i)));
  EXPECT_EQ(names, (std::set<std::string>{"arm", "roots", "mark", "condemn", "clear", "free"}));
}

TEST(PhaseTest, EveryCauseHasANameOfItsOwn) {
  EXPECT_STREQ(CauseName(CollectionCause::kRequest), "request");
  EXPECT_STREQ(CauseName(CollectionCause::kAutomatic), "automatic");
  EXPECT_STREQ(CauseName(CollectionCause::kMemory), "memory");
}

}  // namespace
}  // namespace reef
