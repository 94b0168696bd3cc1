// The stepper: runs one collection on a thread of its own and stops the collector at any step, so
// that a test can act in each window of the protocols.
//
//   Stepper stepper(*heap);
//   stepper.RunTo(Step::kDoorClosed);   // the collector stands there; act
//   stepper.Finish();                   // it goes on to the end
#ifndef REEF_TESTS_HEAP_STEPPER_H_
#define REEF_TESTS_HEAP_STEPPER_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "gtest/gtest.h"

#include "lib/collector/step.h"
#include "reef/heap.h"

namespace reef::test {

using collector::Step;

// One at a time in a process.
class Stepper {
 public:
  explicit Stepper(Heap& heap) : heap_(heap) {
    current_ = this;
    collector::g_on_step.store(&Stepper::OnStep, std::memory_order_release);
    thread_ = std::thread([this, &heap] {
      const CollectionReport report = heap.Collect();
      const std::lock_guard<std::mutex> lock(mutex_);
      report_ = report;
      changed_.notify_all();
    });
  }
  ~Stepper() {
    (void)Finish();
    collector::g_on_step.store(nullptr, std::memory_order_release);
    current_ = nullptr;
  }
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  // Lets the collector go on to the next time it comes to `step`, and waits for that. False if the
  // collection ended before, or has not come there after a minute.
  [[nodiscard]] bool RunTo(Step step) {
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = step;
    at_.reset();
    changed_.notify_all();
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::minutes(1), [this] {
      return at_.has_value() || report_.has_value();
    })) << "the collector has come to no end";
    return at_.has_value();
  }
  // Lets it go on to the end of the request.
  const CollectionReport& Finish() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      finishing_ = true;
      at_.reset();
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    return *report_;
  }

 private:
  // There is one collection at a time: another heap's is not while this one's is.
  static void OnStep(Step step) {
    if (current_->heap_.IsCollecting()) current_->Stop(step);
  }

  void Stop(Step step) {
    std::unique_lock<std::mutex> lock(mutex_);
    // The first step waits for the test's first word.
    changed_.wait(lock, [this] { return wanted_.has_value() || finishing_; });
    if (finishing_ || *wanted_ != step) return;
    wanted_.reset();
    at_ = step;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !at_.has_value(); });
  }

  static inline Stepper* current_ = nullptr;

  Heap& heap_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Step> wanted_;  // where to stop next
  std::optional<Step> at_;      // where the collector stands
  bool finishing_ = false;
  std::optional<CollectionReport> report_;
  std::thread thread_;
};

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_STEPPER_H_
