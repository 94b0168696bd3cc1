// Where the system has no membarrier nothing is born biased and brackets fence; all else holds.
// Each story runs in a process of its own, which is told so before its first use of the engine.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "stress/oracle.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  explicit Node(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  test::Life life;
  Member<Node> next;
};

// Ends the process: with 0 if `holds`.
[[noreturn]] void End(bool holds) {
  std::cerr << (holds ? "the story holds" : "the story does not hold") << std::endl;
  std::_Exit(holds ? 0 : 1);
}

[[noreturn]] void TellRandomGraph(uint64_t seed) {
  HeapOptions options;
  options.growth_percent = 1;
  options.growth_bytes = uint64_t{16} << 10;
  options.collector_cpu_percent = 100;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  stress::Oracle::Options graph;
  graph.objects = 5000;
  graph.steps = test::Sized(10'000, 2000);
  stress::Oracle oracle(*heap, graph, seed);
  for (int epoch = 0; epoch < 8; ++epoch) {
    oracle.RunEpoch(epoch % 2 == 1);
    if (const absl::Status status = oracle.Check(); !status.ok()) {
      std::cerr << status << std::endl;
      End(false);
    }
  }
  End(oracle.died() != 0);
}

[[noreturn]] void TellDrops() {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  test::Lives lives;
  Ref<Node> head = heap->Make<Node>(lives);
  bool holds = RefCount(head) == 2 && lives.now() == 1;
  head.Reset();
  holds = holds && lives.now() == 0;  // prompt
  for (size_t i = 0; i < 1000; ++i) {
    Ref<Node> node = heap->Make<Node>(lives);
    node->next = std::move(head);
    head = std::move(node);
  }
  std::thread([dropped = std::move(head)]() mutable { dropped.Reset(); }).join();
  holds = holds && lives.now() == 0;  // nobody is the owner: at once, also elsewhere
  {
    const Ref<Node> a = heap->Make<Node>(lives);
    a->next = a;
  }
  holds = holds && heap->Collect().objects == 1 && lives.now() == 0;
  End(holds && heap->Verify().ok());
}

[[noreturn]] void TellPublished() {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  test::Lives lives;
  {
    AtomicRef<Node> current(heap->Make<Node>(lives));
    current.Load()->next = heap->Make<Node>(lives);
    const test::ConstantCollector collector(*heap);
    test::RunThreads(4, [&](int i) {
      for (size_t step = 0; step < test::Sized(50'000, 3000); ++step) {
        if (i % 2 == 0) {
          Ref<Node> node = heap->Make<Node>(lives);
          node->next = step % 2 == 0 ? heap->Make<Node>(lives) : node;
          current.Store(std::move(node));
        } else {
          const ReadScope scope;
          const Node* peeked = current.Peek(scope);
          if (peeked == nullptr || !peeked->next) End(false);
        }
      }
    });
  }
  (void)heap->Collect();
  End(lives.now() == 0 && heap->Verify().ok());
}

class NoMembarrierStory : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(setenv("REEF_NO_MEMBARRIER", "1", 1), 0); }
  void TearDown() override { ASSERT_EQ(unsetenv("REEF_NO_MEMBARRIER"), 0); }
};

TEST_F(NoMembarrierStory, ExactlyTheReachableObjectsLive) {
  EXPECT_EXIT(TellRandomGraph(test::Seed()), ::testing::ExitedWithCode(0), "holds");
}

TEST_F(NoMembarrierStory, LastDropDestroysAtOnceOnEveryThread) {
  EXPECT_EXIT(TellDrops(), ::testing::ExitedWithCode(0), "holds");
}

TEST_F(NoMembarrierStory, PeekedObjectsLastAsLongAsTheirScope) {
  EXPECT_EXIT(TellPublished(), ::testing::ExitedWithCode(0), "holds");
}

}  // namespace
}  // namespace reef
