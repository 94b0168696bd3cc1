// What the suites about failing memory share: a program is run with each of the engine's requests
// for memory failing in turn. It must end in the typed error or succeed, leave a sound heap in
// which nothing is left, and then go on.
#ifndef REEF_TESTS_HEAP_FAULT_SUPPORT_H_
#define REEF_TESTS_HEAP_FAULT_SUPPORT_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "lib/os/fault.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef::test {

// What fails: the engine's requests for memory (lib/os/fault.h), or operator new (failing_new.h).
struct Failing {
  void (*arm)(uint64_t first, uint64_t count);
  uint64_t (*disarm)();
};
inline constexpr Failing kRequests{&os::ArmFaults, &os::DisarmFaults};

class FaultTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kAll = ~uint64_t{0} / 2;

  // What a process makes once is there before the first fault: it does not go on without.
  FaultTest() { (void)NewHeap()->Collect(); }
  ~FaultTest() override { (void)os::DisarmFaults(); }

  void ExpectNothingLeft(Heap& heap, uint64_t k) {
    // What a program that failed has not come to.
    heap.SetDebug({});
    heap.TakeGarbage().clear();
    (void)heap.Unfreeze();
    (void)heap.Collect();
    const absl::Status state = heap.Verify();
    EXPECT_TRUE(state.ok()) << "request " << k << ": " << state;
    const HeapStats stats = heap.Stats();
    EXPECT_EQ(stats.live_objects, 0u) << "request " << k;
    EXPECT_EQ(stats.raw_blocks, 0u) << "request " << k;
    EXPECT_EQ(stats.external_bytes, 0u) << "request " << k;
    EXPECT_EQ(lives_.now(), 0) << "request " << k;
  }
  // `run(heap)` is true if the program came to its end. For each k the k-th request fails, and so
  // many in all. A fresh heap for each, so that every first request is among them.
  template <typename Run>
  void FailEachInTurn(uint64_t count, Run run, const HeapOptions& options = QuietOptions(),
                      const Failing& failing = kRequests) {
    uint64_t failed = 0;
    for (uint64_t k = 0;; ++k) {
      const std::unique_ptr<Heap> heap = NewHeap(options);
      failing.arm(k, count);
      const bool success = run(*heap);
      const uint64_t passed = failing.disarm();
      failed += success ? 0 : 1;
      ExpectNothingLeft(*heap, k);
      ASSERT_TRUE(run(*heap)) << "the program does not go on after request " << k;
      ExpectNothingLeft(*heap, k);
      if (passed <= k) {
        EXPECT_TRUE(success);
        EXPECT_GT(k, 5u) << "the program hardly takes memory";
        break;
      }
      if (testing::Test::HasFailure()) return;
    }
    // With one request failing an emergency may help; with all that follow as well it cannot.
    EXPECT_GE(failed, count == kAll ? 5u : 0u);
  }

  Lives lives_;
};

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_FAULT_SUPPORT_H_
