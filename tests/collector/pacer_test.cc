// The pacer: when a collection is due, and what the last one teaches it.
#include "lib/collector/pacer.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using std::chrono::seconds;

class PacerTest : public CollectorTest {
 protected:
  PacerTest() { heap_.pacing.suspects = CountSuspects(); }
  bool DueIn(Nanoseconds time) { return IsDue(heap_, heap_.pacing.ended + time); }
  void Suspect() { internal::Edge::CountSuspect(internal::CurrentSlot()); }
  void Note(uint64_t found_bytes, uint64_t bytes_before) {
    CollectionReport report;
    report.bytes = found_bytes;
    NoteCollection(&heap_, report, CountSuspects(), bytes_before, false);
  }
};

TEST_F(PacerTest, NothingIsDueWithoutSuspects) {
  heap_.options.growth_bytes = 0;
  for (int i = 0; i < 100; ++i) NewNode();
  EXPECT_FALSE(DueIn(seconds(1000)));
  Suspect();
  EXPECT_TRUE(DueIn(seconds(1000)));
  EXPECT_TRUE(DueIn(Nanoseconds(1)));
}

TEST_F(PacerTest, SuspectsWaitForGrowthOrTime) {
  Suspect();
  EXPECT_FALSE(DueIn(seconds(1)));
  EXPECT_TRUE(DueIn(seconds(3)));
  heap_.options.growth_bytes = 1000;
  while (TracedBytes(space()) <= 1000) {
    EXPECT_FALSE(DueIn(seconds(1)));
    NewNode();
  }
  EXPECT_TRUE(DueIn(seconds(1)));
}

TEST_F(PacerTest, NothingIsDueWhenItIsSwitchedOff) {
  Suspect();
  heap_.options.automatic = false;
  EXPECT_FALSE(DueIn(seconds(1000)));
}

TEST_F(PacerTest, ShareOfACoreIsBounded) {
  Suspect();
  heap_.options.cpu_percent = 25;
  heap_.pacing.duration = seconds(10);
  EXPECT_FALSE(DueIn(seconds(29)));
  EXPECT_TRUE(DueIn(seconds(31)));
}

TEST_F(PacerTest, ShareIsLiftedAsGrowthRunsAway) {
  Suspect();
  heap_.options.cpu_percent = 25;
  heap_.options.growth_bytes = 10'000;
  heap_.pacing.duration = seconds(10);  // at its share it rests for thirty
  const auto grow_to = [this](uint64_t bytes) {
    while (TracedBytes(space()) < bytes) NewNode();
  };
  grow_to(19'000);
  EXPECT_FALSE(DueIn(seconds(29)));
  EXPECT_TRUE(DueIn(seconds(31)));
  grow_to(30'000);
  EXPECT_FALSE(DueIn(seconds(13)));
  EXPECT_TRUE(DueIn(seconds(16)));
  grow_to(41'000);
  EXPECT_TRUE(DueIn(Nanoseconds(1)));
  // Never without a suspect.
  heap_.pacing.suspects = CountSuspects();
  EXPECT_FALSE(DueIn(seconds(1000)));
}

TEST_F(PacerTest, WhatMustBeRepeatedIsDueWithoutSuspects) {
  NoteCollection(&heap_, {}, CountSuspects(), 0, true);
  EXPECT_FALSE(DueIn(Nanoseconds(1)));
  EXPECT_TRUE(DueIn(seconds(3)));
}

TEST_F(PacerTest, YieldScalesTheGrowthWithinBounds) {
  heap_.options.growth_percent = 100;
  Note(10, 100);
  EXPECT_EQ(heap_.pacing.scaled_percent, 100);
  Note(1, 100);
  EXPECT_EQ(heap_.pacing.scaled_percent, 200);
  for (int i = 0; i < 5; ++i) Note(0, 100);
  EXPECT_EQ(heap_.pacing.scaled_percent, 400);
  for (int i = 0; i < 10; ++i) Note(50, 100);
  EXPECT_EQ(heap_.pacing.scaled_percent, 50);
}

TEST_F(PacerTest, TracedBytesAreThoseInUse) {
  EXPECT_EQ(TracedBytes(space()), 0u);
  Node* node = NewNode();
  NewNode();
  const uint64_t bytes = internal::SlabOf(Header::Of(node))->block_bytes;
  EXPECT_EQ(TracedBytes(space()), 2 * bytes);
  DropRoot(node);
  EXPECT_EQ(TracedBytes(space()), bytes);
}

TEST_F(PacerTest, CollectionRemembersWhatItLeft) {
  NewNode();
  const uint64_t suspects = CountSuspects();
  Suspect();
  NoteCollection(&heap_, {}, suspects, 0, false);
  EXPECT_EQ(heap_.pacing.suspects, suspects) << "those that came during it count for the next";
  EXPECT_EQ(heap_.pacing.traced_bytes, TracedBytes(space()));
}

TEST_F(PacerTest, ExternalBytesAreGrowth) {
  Suspect();
  heap_.options.growth_bytes = 1000;
  EXPECT_FALSE(DueIn(seconds(1)));
  ASSERT_TRUE(heap_.space->ChargeExternal(1001));
  EXPECT_TRUE(DueIn(seconds(1)));
  Note(0, 0);
  Suspect();
  EXPECT_FALSE(DueIn(seconds(1)));
  heap_.space->UnchargeExternal(1001);
}

TEST_F(PacerTest, ExternalBytesOfGarbageAreYield) {
  heap_.options.growth_percent = 100;
  // Found one byte of a hundred, and half of the external bytes went with it.
  ASSERT_TRUE(heap_.space->ChargeExternal(500));
  CollectionReport report;
  report.bytes = 1;
  NoteCollection(&heap_, report, CountSuspects(), 1100, false, 1000);
  EXPECT_EQ(heap_.pacing.scaled_percent, 50);
  heap_.space->UnchargeExternal(500);
}

}  // namespace
}  // namespace reef::collector::test
