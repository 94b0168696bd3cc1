// fork where drops are left to the collector thread, and where a heap is at its limit.

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/fork_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::EndOf;
using test::Eventually;
using test::Life;
using test::Lives;
using test::RunChild;
using test::StartChild;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  ~Node() {
    if (meeting != nullptr) meeting->Arrive();
  }
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
  test::Meeting* meeting = nullptr;
};

class ForkLimitsTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeList(size_t length) {
    Ref<Node> list = heap_->Make<Node>(lives_);
    for (size_t i = 1; i < length; ++i) {
      Ref<Node> node = heap_->Make<Node>(lives_);
      node->next = std::move(list);
      list = std::move(node);
    }
    return list;
  }
};

TEST_F(ForkLimitsTest, SurplusOfTheParentIsFinishedInBoth) {
  std::move(MakeList(200'000)).DropLater();
  EXPECT_EQ(RunChild([&] {
              (void)heap_->Collect();
              CHILD_CHECK(lives_.now() == 0);
            }),
            "exit 0");
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

// What a child leaves finds no collector thread: one is started for it.
TEST_F(ForkLimitsTest, ChildLeavesSurplus) {
  Ref<Node> list = MakeList(10'000);
  EXPECT_EQ(RunChild([&] {
              std::move(list).DropLater();
              CHILD_CHECK(Eventually([&] { return lives_.now() == 0; }));
              CHILD_CHECK(heap_->Verify().ok());
            }),
            "exit 0");
}

// The collector thread is cut off in the middle of a surplus: that one's rest is lost, no other.
TEST_F(ForkLimitsTest, DoesNotWaitForASurplusThatBlocks) {
  test::Meeting meeting;
  Ref<Node> first = heap_->Make<Node>(lives_);
  first->meeting = &meeting;
  std::move(first).DropLater();
  meeting.Await();
  const pid_t pid = StartChild([&] {
    std::move(MakeList(1'000)).DropLater();
    CHILD_CHECK(Eventually([&] { return lives_.now() <= 1; }));
    CHILD_CHECK(heap_->TryCollect().ok());
  });
  meeting.LetGo();
  EXPECT_EQ(EndOf(pid), "exit 0");
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

TEST_F(ForkLimitsTest, AtTheLimitTheChildCollectsAndFails) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{16} << 20;
  heap_ = test::NewHeap(options);
  std::atomic<bool> stop{false};
  std::thread exhausting([&] {
    while (!stop) {
      std::vector<Ref<Node>> nodes;
      for (;;) {
        absl::StatusOr<Ref<Node>> node = heap_->TryMake<Node>(lives_);
        if (!node.ok()) break;
        nodes.push_back(*std::move(node));
      }
    }
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(RunChild([&] {
                std::vector<Ref<Node>> nodes;
                absl::StatusOr<Ref<Node>> node = heap_->TryMake<Node>(lives_);
                while (node.ok()) {
                  nodes.push_back(*std::move(node));
                  node = heap_->TryMake<Node>(lives_);
                }
                CHILD_CHECK(node.status().code() == absl::StatusCode::kResourceExhausted);
              }),
              "exit 0");
  }
  stop = true;
  exhausting.join();
}

}  // namespace
}  // namespace reef
