// Diagnosed errors: what is printed, and that a fatal one ends the process.
#include <string>

#include "gtest/gtest.h"

#include "reef/internal/check.h"

namespace reef::internal {
namespace {

TEST(FatalDeathTest, FatalSaysWhatWhereAndWhatToDo) {
  EXPECT_DEATH(Fatal("lib/x.cc", 42, "it broke", "mend it"),
               "reef: it broke\n  at lib/x.cc:42\n  hint: mend it\n");
}

TEST(FatalDeathTest, CheckStopsAtAFalseConditionOnly) {
  int asked = 0;
  REEF_CHECK(++asked == 1, "wrong", "none");
  EXPECT_EQ(asked, 1);
  EXPECT_DEATH(REEF_CHECK(asked == 2, "two and one", "count again"), "reef: two and one");
}

#if REEF_IS_CHECKED
TEST(FatalDeathTest, CheckedBuildsCheckMore) {
  EXPECT_DEATH(REEF_DCHECK(false, "only here", "none"), "reef: only here");
}
#else
TEST(FatalTest, OtherBuildsDoNotEvenAsk) {
  [[maybe_unused]] bool asked = false;
  REEF_DCHECK((asked = true, false), "not here", "none");
  EXPECT_FALSE(asked);
}
#endif

TEST(FatalTest, WarnPrintsAndReturns) {
  testing::internal::CaptureStderr();
  Warn("it creaks", "oil it");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "reef: warning: it creaks\n  hint: oil it\n");
}

TEST(FatalTest, LongTextsAreCut) {
  const std::string text(5000, 'x');
  testing::internal::CaptureStderr();
  Warn(text.c_str(), "none");
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_EQ(printed.substr(0, 20), "reef: warning: xxxxx");
  EXPECT_EQ(printed.size(), 1023u);
}

}  // namespace
}  // namespace reef::internal
