// Threads change one graph together, by every kind of edge and root, under collections that start
// by themselves; an oracle knows what must be alive (stress/oracle.h).

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "stress/oracle.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

// Collections start after little growth, and may take a whole core.
HeapOptions EagerOptions() {
  HeapOptions options;
  options.reserve_bytes = uint64_t{1} << 30;
  options.growth_percent = 1;
  options.growth_bytes = uint64_t{16} << 10;
  options.collector_cpu_percent = 100;
  return options;
}

void TellStory(const HeapOptions& heap_options, int threads, size_t epochs) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::cout << test::SeedNote(seed) << std::endl;  // a crash shows no trace
  const std::unique_ptr<Heap> heap = test::NewHeap(heap_options);
  stress::Oracle::Options options;
  options.threads = threads;
  options.objects = test::Sized(12'000, 3000);
  options.steps = test::Sized(12'000, 2000);
  stress::Oracle oracle(*heap, options, seed);
  for (size_t epoch = 0; epoch < epochs; ++epoch) {
    oracle.RunEpoch(/*collect_constantly=*/epoch % 2 == 1);
    const bool drop_all = epoch % 8 == 7;
    if (drop_all) oracle.DropAllRoots();
    const absl::Status status = oracle.Check();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(!drop_all || oracle.live() == 0) << oracle.live();
  }
  EXPECT_GT(oracle.died(), epochs * 100);
}

TEST(RandomGraphStory, ExactlyTheReachableObjectsLive) {
  TellStory(EagerOptions(), 4, test::Sized(48, 16));
}

TEST(RandomGraphStory, ExactlyTheReachableObjectsLiveWithManyThreads) {
  TellStory(EagerOptions(), 16, 8);
}

TEST(RandomGraphStory, ExactlyTheReachableObjectsLiveWithSeveralMarkers) {
  HeapOptions options = EagerOptions();
  options.marker_threads = 3;
  TellStory(options, 3, 16);
}

}  // namespace
}  // namespace reef
