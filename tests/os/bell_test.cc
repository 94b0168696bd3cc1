// The bell: no ring is lost, whichever side is first.
#include "lib/os/bell.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"

#include "lib/os/clock.h"

namespace reef::os {
namespace {

using std::chrono::hours;

std::atomic<int> g_work{0};
bool HasWork() { return g_work.load(std::memory_order_seq_cst) != 0; }
bool HasNone() { return false; }

TEST(BellTest, SleeperWithWorkDoesNotSleep) {
  g_work.store(1);
  SleepUntilRung(hours(1), &HasWork);
  Nap(hours(1), &HasWork);
  EXPECT_EQ(g_work.exchange(0), 1) << "and both have returned";
}

TEST(BellTest, SleepEndsWithItsTime) {
  const Nanoseconds start = Now();
  SleepUntilRung(std::chrono::milliseconds(2), &HasNone);
  Nap(std::chrono::milliseconds(2), &HasNone);
  EXPECT_LT(Now() - start, hours(1));
}

// Lost rings would leave this test waiting for ever.
void ExchangeRings(void (*ring)(), void (*sleep)(std::chrono::nanoseconds, bool (*)())) {
  constexpr int kRings = 2000;
  g_work.store(0);
  std::atomic<int> done{0};
  std::thread ringer([&] {
    for (int i = 0; i < kRings; ++i) {
      g_work.fetch_add(1, std::memory_order_seq_cst);
      ring();
      while (done.load() <= i) std::this_thread::yield();
    }
  });
  for (int i = 0; i < kRings; ++i) {
    while (!HasWork()) sleep(hours(1), &HasWork);
    g_work.fetch_sub(1, std::memory_order_seq_cst);
    ++done;
  }
  ringer.join();
  EXPECT_EQ(done.load(), kRings);
}

TEST(BellTest, NoRingIsLost) { ExchangeRings(&RingBell, &SleepUntilRung); }
TEST(BellTest, NoUrgentRingIsLost) { ExchangeRings(&RingBellUrgently, &SleepUntilRung); }
TEST(BellTest, NoUrgentRingIsLostByANap) { ExchangeRings(&RingBellUrgently, &Nap); }

TEST(BellTest, NoRingIsLostByADoze) { ExchangeRings(&RingBell, &Doze); }
TEST(BellTest, NoUrgentRingIsLostByADoze) { ExchangeRings(&RingBellUrgently, &Doze); }
TEST(BellTest, NoRingForMoreIsLost) { ExchangeRings(&RingBellForMore, &SleepUntilRung); }

// How often a collector that rests for `time` is woken while it is rung all the time.
int WakesWhileRung(void (*ring)(), void (*rest)(std::chrono::nanoseconds, bool (*)()),
                   std::chrono::milliseconds time) {
  std::atomic<bool> done{false};
  std::thread ringer([&] {
    while (!done.load()) ring();
  });
  const Nanoseconds start = Now();
  int wakes = 0;
  for (; Now() - start < time; ++wakes) rest(time, &HasNone);
  done.store(true);
  ringer.join();
  return wakes;
}

TEST(BellTest, RingForMoreEndsNeitherDozeNorNap) {
  constexpr std::chrono::milliseconds kTime(20);
  EXPECT_LE(WakesWhileRung(&RingBellForMore, &Doze, kTime), 2);
  EXPECT_LE(WakesWhileRung(&RingBell, &Nap, kTime), 2);
}

TEST(BellTest, ActivityIsTakenOnce) {
  (void)TakeActivity();
  EXPECT_FALSE(HasActivity());
  NoteActivity();
  NoteActivity();
  EXPECT_TRUE(HasActivity());
  EXPECT_TRUE(TakeActivity());
  EXPECT_FALSE(HasActivity());
  EXPECT_FALSE(TakeActivity());
}

}  // namespace
}  // namespace reef::os
