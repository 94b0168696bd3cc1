// Sums of reports.
#include "lib/collector/report.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

namespace reef::collector {
namespace {

CollectionReport Some() {
  CollectionReport report{.objects = 1,
                          .bytes = 2,
                          .marked = 3,
                          .roots = 4,
                          .logged = 5,
                          .cycles = 6,
                          .aborted = 7,
                          .kept = 10};
  report.phase_time[2] = std::chrono::nanoseconds(8);
  report.total_time = std::chrono::nanoseconds(9);
  return report;
}

void ExpectTimes(const CollectionReport& report, uint64_t times) {
  const CollectionReport one = Some();
  EXPECT_EQ(report.objects, times * one.objects);
  EXPECT_EQ(report.bytes, times * one.bytes);
  EXPECT_EQ(report.marked, times * one.marked);
  EXPECT_EQ(report.roots, times * one.roots);
  EXPECT_EQ(report.logged, times * one.logged);
  EXPECT_EQ(report.cycles, times * one.cycles);
  EXPECT_EQ(report.aborted, times * one.aborted);
  EXPECT_EQ(report.kept, times * one.kept);
  EXPECT_EQ(report.phase_time[2], times * one.phase_time[2]);
  EXPECT_EQ(report.total_time, times * one.total_time);
}

TEST(ReportTest, ReportsAddUpFigureByFigure) {
  CollectionReport sum = Some();
  AddReport(&sum, Some());
  AddReport(&sum, Some());
  ExpectTimes(sum, 3);
}

TEST(ReportTest, DifferenceIsWhatWasAddedSince) {
  CollectionReport sum = Some();
  const CollectionReport before = sum;
  AddReport(&sum, Some());
  AddReport(&sum, Some());
  ExpectTimes(Difference(sum, before), 2);
  ExpectTimes(Difference(sum, sum), 0);
}

}  // namespace
}  // namespace reef::collector
