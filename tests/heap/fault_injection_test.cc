// Every request for memory of a program that uses heaps, containers and cells fails in turn, alone
// and with all that follow; and those of creations and collections.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "lib/os/fault.h"
#include "reef/reef.h"
#include "tests/heap/fault_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, children); }
  Life life;
  Member<Node> next;
  Vector<Node> children;
};
struct Big {
  explicit Big(Lives& lives) : life(lives) {}
  Life life;
  std::array<char, 300'000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};
struct Owner {
  Owner(Heap& heap, Lives& lives, bool fail) : life(lives), bytes(1000) {
    node = heap.Make<Node>(lives);
    if (fail) throw std::runtime_error("not today");
  }
  void Trace(Visitor& v) const { v.Visit(node); }
  Life life;
  ExternalBytes bytes;
  Member<Node> node;
};

// Returns memory by the heap's own means.
class Bytes {
 public:
  Bytes(Heap& heap, size_t size) : heap_(heap), bytes_(heap.Allocate(size)) {}
  ~Bytes() { heap_.Deallocate(bytes_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

 private:
  Heap& heap_;
  void* const bytes_;
};

class FaultInjectionTest : public test::FaultTest {
 protected:
  // One of everything that takes memory. Throws OutOfMemory.
  void Program(Heap& heap) {
    const Ref<Node> root = heap.Make<Node>(lives_);
    for (int i = 0; i < 200; ++i) {
      const Ref<Node> child = heap.Make<Node>(lives_);
      child->next = root;
      root->children.push_back(child);
    }
    const Bytes small(heap, 100);
    const Bytes run(heap, 200'000);
    const Bytes huge(heap, size_t{5} << 20);
    const Ref<Big> big = heap.Make<Big>(lives_);
    AtomicRef<Node> published;
    published.Store(root);
    published.Store(heap.Make<Node>(lives_));
    try {
      (void)heap.Make<Owner>(heap, lives_, true);
      ADD_FAILURE() << "made in spite of its constructor";
    } catch (const std::runtime_error&) {
    }
    const Ref<Owner> owner = heap.Make<Owner>(heap, lives_, false);
    owner->bytes.Resize(100'000);
    absl::StatusOr<Ref<Big>> another = heap.TryMake<Big>(lives_);
    if (!another.ok()) {
      EXPECT_EQ(another.status().code(), absl::StatusCode::kResourceExhausted);
      throw OutOfMemory(sizeof(Big));
    }
    (void)heap.Collect();
    for (int i = 0; i < 100; ++i) root->children.push_back(heap.Make<Node>(lives_));
  }
  // True if the program came to its end.
  bool Succeeds(Heap& heap) {
    try {
      Program(heap);
      return true;
    } catch (const OutOfMemory&) {
      return false;
    }
  }
};

TEST_F(FaultInjectionTest, EachRequestAlone) {
  FailEachInTurn(1, [this](Heap& heap) { return Succeeds(heap); });
}

TEST_F(FaultInjectionTest, EachRequestAndAllThatFollow) {
  FailEachInTurn(kAll, [this](Heap& heap) { return Succeeds(heap); });
}

TEST_F(FaultInjectionTest, EachRequestAndAFewThatFollow) {
  FailEachInTurn(4, [this](Heap& heap) { return Succeeds(heap); });
}

TEST_F(FaultInjectionTest, EachRequestOfSeveralThreads) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{8}, kAll}) {
    const uint64_t step = count == 1 ? 1 : 3;
    uint64_t passed = 1;
    for (uint64_t k = 0; k < passed; k += step) {
      const std::unique_ptr<Heap> heap = test::NewHeap();
      os::ArmFaults(k, count);
      test::RunThreads(3, [&](int) { (void)Succeeds(*heap); });
      passed = os::DisarmFaults();
      ExpectNothingLeft(*heap, k);
      test::RunThreads(3, [&](int) { EXPECT_TRUE(Succeeds(*heap)); });
      ExpectNothingLeft(*heap, k);
      ASSERT_FALSE(testing::Test::HasFailure());
    }
  }
}

TEST_F(FaultInjectionTest, CreationFailsWithAStatus) {
  for (uint64_t k = 0;; ++k) {
    os::ArmFaults(k, kAll);
    absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(test::QuietOptions());
    const uint64_t passed = os::DisarmFaults();
    if (passed <= k) {
      EXPECT_TRUE(heap.ok());
      EXPECT_GE(k, 2u);
      break;
    }
    ASSERT_FALSE(heap.ok());
    EXPECT_EQ(heap.status().code(), absl::StatusCode::kResourceExhausted);
  }
}

// Logs and mark stacks run out while a collection is under way: it is given up, nothing is lost,
// and the next one finds what it would have found.
TEST_F(FaultInjectionTest, CollectionsWithoutMemoryAreGivenUp) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  {
    const Ref<Node> root = heap->Make<Node>(lives_);
    for (int i = 0; i < 20'000; ++i) root->children.push_back(heap->Make<Node>(lives_));
    for (uint64_t k = 0; k < 8; ++k) {
      os::ArmFaults(k, kAll);
      (void)heap->Collect();
      (void)os::DisarmFaults();
      EXPECT_EQ(lives_.now(), 20'001);
    }
    EXPECT_GT(heap->Stats().collections_aborted, 0u);
    root->next = root;
  }
  ExpectNothingLeft(*heap, 0);
}

}  // namespace
}  // namespace reef
