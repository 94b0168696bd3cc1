// Rests of the collector thread: longer ones while nothing moves, short ones as soon as something
// does.
#include "lib/collector/rest.h"

#include "gtest/gtest.h"

#include "lib/collector/housekeeping.h"
#include "lib/object/revocation.h"
#include "lib/object/surplus.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

bool HasNoRequest() { return false; }
bool HasRequest() { return true; }

// The collector's thread, were it there, would settle what waits here.
class RestTest : public CollectorTest {
 protected:
  os::Nanoseconds TimeOfRest(bool (*has_request)() = &HasNoRequest) {
    const os::Nanoseconds start = os::Now();
    rest_.FromSmallWork(has_request);
    return os::Now() - start;
  }
  const CollectorHeldUp held_up_;
  Rest rest_;
};

TEST_F(RestTest, GrowsToATickWhileNothingMoves) {
  (void)TimeOfRest();  // whatever was settled before this test
  os::Nanoseconds last{};
  for (int i = 0; i < 7; ++i) last = TimeOfRest();
  EXPECT_GE(last, kLongestNap);
  rest_.Reset();
  // At least the shortest one, and one doubled at most.
  EXPECT_GE(TimeOfRest(), kShortestNap);
}

TEST_F(RestTest, RequestEndsItAtOnce) {
  for (int i = 0; i < 7; ++i) (void)TimeOfRest();
  const os::Nanoseconds start = os::Now();
  for (int i = 0; i < 1000; ++i) (void)TimeOfRest(&HasRequest);
  EXPECT_LT(os::Now() - start, 1000 * kLongestNap / 2);
}

// Section 16, Asleep.
TEST_F(RestTest, SurplusKeepsItShort) {
  for (int i = 0; i < 7; ++i) (void)TimeOfRest();
  Actor dropper;
  dropper.Do([this] { internal::DropExtLater(Header::Of(NewNode())); });
  ASSERT_TRUE(object::HasSurplus());
  const os::Nanoseconds start = os::Now();
  for (int i = 0; i < 100; ++i) (void)TimeOfRest();
  EXPECT_LT(os::Now() - start, 100 * kLongestNap / 2);
  // In the place of the one that is held up.
  object::ActAsFinisher(true);
  while (object::DestroySurplus(internal::CurrentSlot())) {
  }
  object::ActAsFinisher(false);
  EXPECT_EQ(ends_, 1);
}

TEST_F(RestTest, AnotherLookIsWorthItWhileSomethingMoves) {
  (void)rest_.MayGoOn(&HasNoRequest);
  EXPECT_FALSE(rest_.MayGoOn(&HasNoRequest));
  EXPECT_TRUE(rest_.MayGoOn(&HasRequest));
  Node* node = NewNode();
  Actor dropper;
  dropper.Do([node] { DropRoot(node); });
  ASSERT_EQ(object::CountPending(), 1u);
  EXPECT_TRUE(rest_.MayGoOn(&HasNoRequest)) << "nobody has tried to settle it";
  (void)Settle();
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(rest_.MayGoOn(&HasNoRequest)) << "there was progress";
  EXPECT_FALSE(rest_.MayGoOn(&HasNoRequest));
}

}  // namespace
}  // namespace reef::collector::test
