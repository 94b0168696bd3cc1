// Several marker threads find what one finds: the same random graph in two heaps, cut step by step,
// marked by one thread here and by three there.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  Node(std::vector<uint8_t>* deaths, size_t index) : died(deaths), number(index) {}
  ~Node() { ++(*died)[number]; }
  void Trace(Visitor& v) const { v.Visit(left, right, more, shared); }
  std::vector<uint8_t>* died;
  size_t number;
  Member<Node> left;
  Member<Node> right;
  Vector<Node> more;
  AtomicMember<Node> shared;
};

// A heap with a graph that is a function of the seed.
class Copy {
 public:
  Copy(int markers, size_t nodes, uint64_t seed)
      : random_(seed), died_(nodes, 0), heap_(test::NewHeap(Options(markers))) {
    for (size_t i = 0; i < nodes; ++i) roots_.push_back(heap_->Make<Node>(&died_, i));
    // A third of the nodes is reached by chains, so that marking is deep, the rest at random.
    for (size_t i = 0; i < nodes; ++i) {
      if (i % 3 == 0 && i + 3 < nodes) roots_[i]->left = roots_[i + 3];
      if (test::Below(random_, 2) == 0) roots_[i]->right = Any();
      if (test::Below(random_, 8) == 0) {
        for (size_t j = test::Below(random_, 20); j != 0; --j) roots_[i]->more.push_back(Any());
      }
      if (test::Below(random_, 4) == 0) roots_[i]->shared.Store(Any());
    }
  }

  // Drops most of the roots that are left.
  void Cut() {
    for (Ref<Node>& root : roots_) {
      if (test::Below(random_, 4) != 0) root.Reset();
    }
  }
  Heap& heap() { return *heap_; }
  const std::vector<uint8_t>& died() const { return died_; }

 private:
  static HeapOptions Options(int markers) {
    HeapOptions options = test::QuietOptions();
    options.marker_threads = markers;
    return options;
  }
  const Ref<Node>& Any() { return roots_[test::Below(random_, roots_.size())]; }

  std::mt19937_64 random_;
  std::vector<uint8_t> died_;  // how often each node has died; until the heap's end
  const std::unique_ptr<Heap> heap_;
  std::vector<Ref<Node>> roots_;
};

TEST(MarkerThreadsStory, ThreeMarkersFindWhatOneFinds) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t nodes = test::Sized(200'000, 20'000);
  Copy one(1, nodes, seed);
  Copy three(3, nodes, seed);
  for (int round = 0; round < 10; ++round) {
    const CollectionReport expected = one.heap().Collect();
    const CollectionReport report = three.heap().Collect();
    EXPECT_EQ(report.objects, expected.objects) << "in round " << round;
    EXPECT_EQ(report.bytes, expected.bytes) << "in round " << round;
    // Two markers that meet at an object may both count it.
    EXPECT_GE(report.marked, expected.marked) << "in round " << round;
    EXPECT_LE(report.marked, expected.marked + expected.marked / 10) << "in round " << round;
    EXPECT_EQ(report.roots, expected.roots) << "in round " << round;
    ASSERT_EQ(three.died(), one.died()) << "in round " << round;
    EXPECT_EQ(three.heap().Stats().live_bytes, one.heap().Stats().live_bytes);
    const absl::Status state = three.heap().Verify();
    ASSERT_TRUE(state.ok()) << state;
    one.Cut();
    three.Cut();
  }
}

}  // namespace
}  // namespace reef
