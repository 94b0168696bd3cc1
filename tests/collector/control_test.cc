// Control: options that are taken over whole, pauses, callbacks, history, and holding collections
// off.
#include "lib/collector/control.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using Moment = CollectionEvent::Moment;

class ControlTest : public CollectorTest {
 protected:
  ControlTest() { heap_.control = std::make_shared<Control>(CollectorOptions{}); }
  Control& control() { return *heap_.control; }
  bool Run(CollectionCause cause, const CollectionReport& report = {}) {
    if (!control().Begin(&heap_, cause)) return false;
    control().End(&heap_, report);
    return true;
  }
};

TEST_F(ControlTest, OnlyAutomaticCollectionsAreDisabledOrPaused) {
  EXPECT_TRUE(Run(CollectionCause::kAutomatic));
  control().SetAutomatic(false);
  EXPECT_FALSE(control().StartsByItself());
  EXPECT_FALSE(Run(CollectionCause::kAutomatic));
  EXPECT_FALSE(IsCollecting(&heap_));
  EXPECT_TRUE(Run(CollectionCause::kRequest));
  EXPECT_TRUE(Run(CollectionCause::kMemory));
  control().SetAutomatic(true);
  control().Pause();
  control().Pause();
  EXPECT_FALSE(Run(CollectionCause::kAutomatic));
  control().Resume();
  EXPECT_FALSE(Run(CollectionCause::kAutomatic)) << "one pause is left";
  control().Adopt(&heap_);
  EXPECT_FALSE(heap_.options.automatic);
  control().Resume();
  EXPECT_TRUE(control().StartsByItself());
  EXPECT_TRUE(Run(CollectionCause::kAutomatic));
}

TEST_F(ControlTest, PacingIsTakenOverBetweenCollectionsAndForgetsTheScale) {
  heap_.pacing.scaled_percent = 400;
  control().SetPacing({.growth_percent = 100, .growth_bytes = 7, .cpu_percent = 5});
  EXPECT_EQ(heap_.options.cpu_percent, 25) << "not before the collector looks";
  control().Adopt(&heap_);
  EXPECT_EQ(heap_.options.cpu_percent, 5);
  EXPECT_EQ(heap_.options.growth_bytes, 7u);
  EXPECT_EQ(heap_.pacing.scaled_percent, 400) << "the percentage is the same";
  control().SetPacing({.growth_percent = 50});
  control().Adopt(&heap_);
  EXPECT_EQ(heap_.pacing.scaled_percent, 0);
}

TEST_F(ControlTest, MakeDueCountsOnce) {
  control().MakeDue();
  control().Adopt(&heap_);
  EXPECT_TRUE(heap_.pacing.due);
  heap_.pacing.due = false;
  control().Adopt(&heap_);
  EXPECT_FALSE(heap_.pacing.due);
}

TEST_F(ControlTest, OptionsAreNeverTorn) {
  // Each writer sets four fields to one number; whoever reads finds one number.
  std::atomic<bool> stop{false};
  std::vector<Actor> writers(2);
  for (size_t w = 0; w < writers.size(); ++w) {
    writers[w].Start([&, w] {
      for (int i = 1; !stop.load(std::memory_order_relaxed); i = i % 1000 + 1) {
        const int value = i * 2 + static_cast<int>(w);
        control().SetPacing({.growth_percent = value,
                             .growth_bytes = static_cast<uint64_t>(value),
                             .cpu_percent = value,
                             .marker_threads = value});
      }
    });
  }
  control().SetPacing(
      {.growth_percent = 2, .growth_bytes = 2, .cpu_percent = 2, .marker_threads = 2});
  for (int i = 0; i < 20'000; ++i) {
    control().Adopt(&heap_);
    const CollectorOptions& seen = heap_.options;
    const CollectorOptions asked = control().options();
    ASSERT_EQ(seen.growth_percent, seen.cpu_percent);
    ASSERT_EQ(seen.growth_percent, seen.marker_threads);
    ASSERT_EQ(static_cast<uint64_t>(seen.growth_percent), seen.growth_bytes);
    ASSERT_EQ(asked.growth_percent, asked.cpu_percent);
    ASSERT_EQ(static_cast<uint64_t>(asked.growth_percent), asked.growth_bytes);
  }
  stop = true;
  for (Actor& writer : writers) writer.Join();
}

TEST_F(ControlTest, CallbacksSeeBothEndsInOrder) {
  std::string seen;
  const auto add = [&](const char* name) {
    auto callback = std::make_shared<Callback>([&seen, name](const CollectionEvent& event) {
      seen += name;
      seen += event.moment == Moment::kStart ? "+" : "-";
      seen += std::to_string(event.number) + ":" + std::to_string(event.report.objects) + " ";
    });
    control().Add(callback);
    return callback;
  };
  const auto one = add("a");
  const auto two = add("b");
  EXPECT_TRUE(Run(CollectionCause::kRequest, {.objects = 9}));
  EXPECT_EQ(seen, "a+1:0 b+1:0 a-1:9 b-1:9 ");
  control().Remove(one);
  seen.clear();
  EXPECT_TRUE(Run(CollectionCause::kRequest));
  EXPECT_EQ(seen, "b+2:0 b-2:0 ");
  control().EndCalls();
  seen.clear();
  EXPECT_TRUE(Run(CollectionCause::kRequest));
  EXPECT_EQ(seen, "");
}

TEST_F(ControlTest, CallbackMayRemoveItselfAndAddOthers) {
  int calls = 0;
  std::shared_ptr<Callback> self;
  auto witness = std::make_shared<int>(1);
  self = std::make_shared<Callback>([this, &calls, &self, witness](const CollectionEvent&) {
    ++calls;
    control().Remove(self);
    control().Add(std::make_shared<Callback>([&calls](const CollectionEvent&) { calls += 10; }));
    EXPECT_EQ(witness.use_count(), 2) << "what it has captured lives while it runs";
  });
  control().Add(self);
  EXPECT_TRUE(Run(CollectionCause::kRequest));
  EXPECT_EQ(calls, 21) << "itself once, and the new one at the start and at the end";
  EXPECT_EQ(witness.use_count(), 1);
}

TEST_F(ControlTest, RemovalWaitsForACallUnderWay) {
  Gate reached;
  Gate leave;
  std::atomic<bool> done{false};
  auto callback = std::make_shared<Callback>([&](const CollectionEvent& event) {
    if (event.moment == Moment::kStop) return;
    reached.Open();
    leave.Pass();
    done = true;
  });
  control().Add(callback);
  Actor collector;
  collector.Start([this] { EXPECT_TRUE(Run(CollectionCause::kRequest)); });
  reached.Pass();
  Actor opener;
  opener.Start([&leave] { leave.Open(); });
  control().Remove(callback);
  EXPECT_TRUE(done);
  collector.Join();
  opener.Join();
}

TEST_F(ControlTest, WhatACallbackThrowsIsReported) {
  control().Add(std::make_shared<Callback>(
      [](const CollectionEvent&) { throw std::runtime_error("no disk"); }));
  control().Add(std::make_shared<Callback>([](const CollectionEvent& event) {
    if (event.moment == Moment::kStop) throw 5;
  }));
  testing::internal::CaptureStderr();
  EXPECT_TRUE(Run(CollectionCause::kRequest));
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("exception ignored in a collection callback: no disk\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("in a collection callback: an exception that is no std::exception"),
            std::string::npos)
      << text;
}

TEST_F(ControlTest, HistoryIsBoundedAndInOrder) {
  EXPECT_TRUE(control().History().empty());
  for (uint64_t i = 1; i <= kHistoryLength + 5; ++i) {
    heap_.pacing.traced_bytes = i * 100;
    EXPECT_TRUE(
        Run(i % 2 == 0 ? CollectionCause::kAutomatic : CollectionCause::kMemory, {.objects = i}));
  }
  const std::vector<CollectionRecord> history = control().History();
  ASSERT_EQ(history.size(), static_cast<size_t>(kHistoryLength));
  uint64_t number = 6;
  for (const CollectionRecord& record : history) {
    EXPECT_EQ(record.number, number);
    EXPECT_EQ(record.report.objects, number);
    EXPECT_EQ(record.traced_bytes, number * 100);
    EXPECT_EQ(record.cause,
              number % 2 == 0 ? CollectionCause::kAutomatic : CollectionCause::kMemory);
    ++number;
  }
}

TEST_F(ControlTest, HoldingOffExcludesCollections) {
  std::atomic<bool> held{false};
  std::atomic<bool> stop{false};
  Actor holder;
  holder.Start([&] {
    while (!stop) {
      ASSERT_TRUE(control().HoldOff());
      held = true;
      held = false;
      control().LetGo();
    }
  });
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(control().Begin(&heap_, CollectionCause::kRequest));
    ASSERT_FALSE(held);
    ASSERT_FALSE(control().HoldOff()) << "it would wait for itself";
    ASSERT_FALSE(held);
    control().End(&heap_, {});
  }
  stop = true;
  holder.Join();
}

TEST_F(ControlTest, StatisticsAreALinePerCollection) {
  control().SetDebugging({.print_statistics = true});
  testing::internal::CaptureStderr();
  EXPECT_TRUE(Run(CollectionCause::kMemory, {.objects = 12, .bytes = 345, .marked = 67}));
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("collection 1 (memory): 12 objects, 345 bytes reclaimed"), std::string::npos)
      << text;
  EXPECT_NE(text.find("67 marked"), std::string::npos) << text;
  EXPECT_NE(text.find(" arm 0.000"), std::string::npos) << text;
  EXPECT_NE(text.find(" free 0.000\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace reef::collector::test
