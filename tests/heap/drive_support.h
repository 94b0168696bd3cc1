// What the suites about driving share: a collector that runs only when it is let.
#ifndef REEF_TESTS_HEAP_DRIVE_SUPPORT_H_
#define REEF_TESTS_HEAP_DRIVE_SUPPORT_H_

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef::test {

class DrivenTest : public testing::Test {
 protected:
  DrivenTest() {
    SetCollectorDriven(true);
    // It may be in the middle of something. When nothing is left, it stands at the gate.
    EXPECT_TRUE(Eventually([] { return !Drive(std::chrono::milliseconds(100)); }));
  }
  ~DrivenTest() override {
    heap_.reset();
    SetCollectorDriven(false);
  }
  static HeapOptions EagerOptions() {
    HeapOptions options = QuietOptions();
    options.automatic_collection = true;
    options.growth_bytes = 0;
    options.growth_percent = 1;
    options.collector_cpu_percent = 100;
    return options;
  }
  // True if the collector has more to do.
  static bool Drive(std::chrono::nanoseconds budget) {
    const absl::StatusOr<bool> more = DriveCollector(budget);
    EXPECT_TRUE(more.ok()) << more.status();
    return more.value_or(false);
  }
  // Drives by such steps until a collection of the heap is under way.
  bool DriveIntoACollection(std::chrono::nanoseconds step) {
    return Eventually([this, step] {
      (void)Drive(step);
      return heap_->IsCollecting();
    });
  }

  Lives lives_;
  std::unique_ptr<Heap> heap_ = NewHeap(EagerOptions());
};

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_DRIVE_SUPPORT_H_
