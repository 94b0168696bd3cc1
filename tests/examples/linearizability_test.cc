// The checker itself: it accepts what some order explains, and nothing else. Without this the
// tests of the structures would show nothing.
#include "tests/examples/linearizability.h"

#include <barrier>
#include <cstdint>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/examples/models.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::History;
using test::HistoryClock;
using test::IsLinearizable;
using test::kExchange;
using test::kLook;
using test::kNone;
using test::kPut;
using test::kTake;
using test::MapModel;
using test::QueueModel;
using test::SetModel;
using test::StackModel;

TEST(LinearizabilityTest, NothingIsLinearizable) { EXPECT_TRUE(IsLinearizable<StackModel>({})); }

TEST(LinearizabilityTest, SequencesMustAgreeWithTheModel) {
  const History last_in_first_out = {
      {0, kPut, 1, 0, 0, 1}, {0, kPut, 2, 0, 2, 3}, {0, kTake, 0, 2, 4, 5}, {0, kTake, 0, 1, 6, 7}};
  EXPECT_TRUE(IsLinearizable<StackModel>(last_in_first_out));
  EXPECT_FALSE(IsLinearizable<QueueModel>(last_in_first_out));
  const History first_in_first_out = {
      {0, kPut, 1, 0, 0, 1}, {0, kPut, 2, 0, 2, 3}, {0, kTake, 0, 1, 4, 5}, {0, kTake, 0, 2, 6, 7}};
  EXPECT_TRUE(IsLinearizable<QueueModel>(first_in_first_out));
  EXPECT_FALSE(IsLinearizable<StackModel>(first_in_first_out));
}

TEST(LinearizabilityTest, OverlappingOperationsMayTakeEffectInEitherOrder) {
  // Both puts are open at the same time.
  const History history = {
      {0, kPut, 1, 0, 0, 3}, {1, kPut, 2, 0, 1, 2}, {0, kTake, 0, 2, 4, 5}, {1, kTake, 0, 1, 6, 7}};
  EXPECT_TRUE(IsLinearizable<QueueModel>(history));
  EXPECT_TRUE(IsLinearizable<StackModel>(history));
}

TEST(LinearizabilityTest, RealTimeOrderHolds) {
  // The second put began when the first had ended, on another thread.
  const History history = {
      {0, kPut, 1, 0, 0, 1}, {1, kPut, 2, 0, 2, 3}, {0, kTake, 0, 2, 4, 5}, {1, kTake, 0, 1, 6, 7}};
  EXPECT_FALSE(IsLinearizable<QueueModel>(history));
}

TEST(LinearizabilityTest, ItemsAreTakenOnceAndNeverFromNothing) {
  EXPECT_FALSE(IsLinearizable<StackModel>(
      {{0, kPut, 1, 0, 0, 1}, {0, kTake, 0, 1, 2, 5}, {1, kTake, 0, 1, 3, 4}}));
  EXPECT_FALSE(IsLinearizable<StackModel>({{0, kTake, 0, 1, 0, 1}, {1, kPut, 1, 0, 2, 3}}));
  EXPECT_FALSE(IsLinearizable<QueueModel>({{0, kPut, 1, 0, 0, 1}, {1, kTake, 0, kNone, 2, 3}}))
      << "not empty";
  EXPECT_TRUE(IsLinearizable<QueueModel>({{0, kPut, 1, 0, 0, 3}, {1, kTake, 0, kNone, 1, 2}}));
}

TEST(LinearizabilityTest, SetsChangeOncePerKey) {
  const History twice = {{0, kPut, 5, 1, 0, 3}, {1, kPut, 5, 1, 1, 2}};
  EXPECT_FALSE(IsLinearizable<SetModel>(twice)) << "one of the two was not the first";
  const History between = {
      {0, kPut, 5, 1, 0, 3}, {1, kPut, 5, 1, 1, 2}, {2, kTake, 5, 1, 0, 3}, {2, kLook, 5, 1, 4, 5}};
  EXPECT_TRUE(IsLinearizable<SetModel>(between));
  const History stale = {{0, kPut, 5, 1, 0, 1}, {0, kTake, 5, 1, 2, 3}, {1, kLook, 5, 1, 4, 5}};
  EXPECT_FALSE(IsLinearizable<SetModel>(stale));
}

TEST(LinearizabilityTest, MapsReturnWhatTheyReplace) {
  EXPECT_TRUE(IsLinearizable<MapModel>({{0, kExchange, 3007, kNone, 0, 3},
                                        {1, kExchange, 3008, 7, 1, 2},
                                        {0, kLook, 3, 8, 4, 5},
                                        {0, kTake, 3, 8, 6, 7},
                                        {0, kLook, 3, kNone, 8, 9}}));
  EXPECT_FALSE(IsLinearizable<MapModel>(
      {{0, kExchange, 3007, kNone, 0, 1}, {1, kExchange, 3008, 7, 2, 3}, {0, kLook, 3, 7, 4, 5}}))
      << "it had been replaced";
  EXPECT_FALSE(IsLinearizable<MapModel>(
      {{0, kExchange, 3007, kNone, 0, 3}, {1, kExchange, 3008, kNone, 1, 2}}));
}

TEST(LinearizabilityTest, ManyOverlappingOperationsAreDecidedInTime) {
  // Fifteen reads have a million million orders, and none of them explains the last result.
  History history;
  for (int i = 0; i < 15; ++i) history.push_back({i, kLook, i, 0, 0, 100});
  EXPECT_TRUE(IsLinearizable<SetModel>(history));
  history.push_back({0, kLook, 0, 1, 101, 102});
  EXPECT_FALSE(IsLinearizable<SetModel>(history));
}

// A stack whose Pop loads and stores instead of exchanging; both of its users come between.
class BrokenStack {
 public:
  explicit BrokenStack(Heap& heap) : heap_(heap) {}
  void Push(int64_t value) { top_.Store(heap_.Make<Node>(value, top_.Load())); }
  int64_t Pop(std::barrier<>& both_have_loaded) {
    const Ref<Node> top = top_.Load();
    both_have_loaded.arrive_and_wait();
    if (!top) return kNone;
    top_.Store(top->below);
    return top->value;
  }

 private:
  struct Node {
    Node(int64_t number, Ref<Node> rest) : value(number), below(std::move(rest)) {}
    void Trace(Visitor& v) const { v.Visit(below); }
    const int64_t value;
    Member<Node> below;
  };
  Heap& heap_;
  AtomicRef<Node> top_;
};

TEST(LinearizabilityTest, RecordedHistoryOfABrokenStackIsRefused) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  BrokenStack stack(*heap);
  HistoryClock clock;
  History history;
  for (int64_t i = 1; i <= 3; ++i) {
    clock.Record(&history, 0, kPut, i, [&] {
      stack.Push(i);
      return int64_t{0};
    });
  }
  EXPECT_TRUE(IsLinearizable<StackModel>(history)) << "so far";
  std::barrier<> both_have_loaded(2);
  History parts[2];
  test::RunThreads(2, [&](int thread) {
    clock.Record(&parts[thread], thread, kTake, 0, [&] { return stack.Pop(both_have_loaded); });
  });
  for (const History& part : parts) history.insert(history.end(), part.begin(), part.end());
  EXPECT_FALSE(IsLinearizable<StackModel>(history)) << history;
}

}  // namespace
}  // namespace reef
