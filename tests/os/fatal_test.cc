// Diagnosed errors: what is printed, and that a fatal one ends the process.
#include <cstdint>
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

template <typename T>
const char* NameOf() {
  return __PRETTY_FUNCTION__;
}
struct Boat {};
template <typename T, int kSize>
struct Fleet {};

TEST(FatalTest, SubjectIsNamedByTypeAndAddress) {
  void* const address = reinterpret_cast<void*>(uintptr_t{0x1230});
  const auto warning = [&](const char* signature) {
    testing::internal::CaptureStderr();
    Warn("it leaks", "pump", {signature, address});
    return testing::internal::GetCapturedStderr();
  };
  std::string named = warning(NameOf<Boat>());
  EXPECT_NE(named.find("Boat at 0x1230\n  hint: pump\n"), std::string::npos) << named;
  EXPECT_EQ(named.find("reef: warning: it leaks\n  object: "), 0u) << named;
  named = warning(NameOf<Fleet<Boat, 7>>());
  EXPECT_NE(named.find("Fleet<"), std::string::npos) << named;
  EXPECT_NE(named.find("> at 0x1230\n"), std::string::npos) << named;
  EXPECT_EQ(warning(nullptr), "reef: warning: it leaks\n  hint: pump\n");
}

TEST(FatalDeathTest, FatalNamesItsSubject) {
  const int here = 0;
  EXPECT_DEATH(
      REEF_CHECK_OF(here == 1, (Subject{NameOf<Boat>(), &here}), "sunk", "swim"),
      "reef: sunk\n  object: .*Boat at 0x[0-9a-f]+\n  at .*fatal_test.cc:[0-9]+\n  hint: swim");
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
