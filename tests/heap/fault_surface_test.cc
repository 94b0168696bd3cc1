// A program that uses all that Reef offers: every operator new, its own and the engine's, and every
// other request for memory fails in turn. Each ends in std::bad_alloc (OutOfMemory is one) or a
// status, or is done without.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/failing_new.h"
#include "tests/heap/fault_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, children, shared, marked); }
  Life life;
  Member<Node> next;
  Vector<Node> children;
  AtomicMember<Node> shared;
  AtomicMarkedMember<Node> marked;
};
struct Finalized {
  explicit Finalized(Lives& lives) : life(lives) {}
  void Finalize(const Ref<Finalized>&) {}
  Life life;
};
struct Ring {
  explicit Ring(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Member<Ring> self;
};
struct Big {
  std::array<char, 300'000> bytes;
};
struct Immense {
  std::array<char, size_t{1} << 40> bytes;
};

class FaultSurfaceTest : public test::FaultTest {
 protected:
  // Each alone, and with all that follow; calls of new, and then the engine's other requests.
  template <typename Program>
  void FailEachInItsTurn(Program program) {
    const auto succeeds = [&program](Heap& heap) {
      try {
        return program(heap);
      } catch (const std::bad_alloc&) {
        return false;
      }
    };
    constexpr test::Failing kNews{&test::ArmNews, &test::DisarmNews};
    for (const test::Failing& failing : {kNews, test::kRequests}) {
      for (const uint64_t count : {uint64_t{1}, kAll}) {
        FailEachInTurn(count, succeeds, test::QuietOptions(), failing);
        if (HasFailure()) return;
      }
    }
  }

  // There may be 255; a creation that failed half-way has not kept one of them.
  static void ExpectNoHeapLost() {
    HeapOptions options = test::QuietOptions();
    options.reserve_bytes = uint64_t{64} << 20;
    std::vector<std::unique_ptr<Heap>> heaps;
    for (int i = 0; i < 250; ++i) {
      absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(options);
      ASSERT_TRUE(heap.ok()) << i << ": " << heap.status();
      heaps.push_back(*std::move(heap));
    }
  }

  Ref<Node> MakeGarbage(Heap& heap) {
    const Ref<Node> ring = heap.Make<Node>(lives_);
    ring->next = ring;
    ring->children.push_back(ring);
    return heap.Make<Node>(lives_);
  }

  // Statuses do not need the memory whose lack they report.
  bool Errors(Heap& heap) {
    const auto is_exhausted = [](const absl::Status& status) {
      return status.code() == absl::StatusCode::kResourceExhausted;
    };
    EXPECT_TRUE(is_exhausted(heap.TryMake<Immense>().status()));
    EXPECT_TRUE(is_exhausted(heap.TryAddExternalBytes(int64_t{1} << 60)));
    EXPECT_THROW((void)heap.Make<Immense>(), OutOfMemory);
    EXPECT_EQ(heap.TryAllocate(size_t{1} << 40), nullptr);
    const absl::StatusOr<std::unique_ptr<Heap>> other = Heap::Create(test::QuietOptions());
    EXPECT_TRUE(other.ok() || is_exhausted(other.status()));
    return other.ok();
  }

  // Handles, maps and callbacks.
  bool Handles(Heap& heap) {
    std::vector<Ref<Node>> nodes;
    WeakValueMap<std::string, Node> by_name;
    WeakSet<Node> set;
    int calls = 0;
    for (int i = 0; i < 20; ++i) {
      nodes.push_back(heap.Make<Node>(lives_));
      by_name.Set("a name that is longer than a string holds in itself " + std::to_string(i),
                  nodes.back());
      (void)set.Insert(nodes.back());
    }
    const WeakCallback<Node> callback(nodes[0], [&calls] { ++calls; });
    Finalizer finalizer(nodes[1], [&calls] { ++calls; });
    AtomicWeak<Node> weak;
    weak.Store(nodes[2]);
    nodes[3]->shared.Store(nodes[4]);
    nodes[3]->marked.Store(nodes[4], 1);
    nodes.clear();
    (void)heap.Collect();
    EXPECT_EQ(calls, 2);
    return true;
  }

  // What a heap may be asked for.
  bool Control(Heap& heap) {
    int events = 0;
    const CollectionCallback callback =
        heap.OnCollection([&events](const CollectionEvent&) { ++events; });
    heap.SetOnLimit([&events](const LimitReport&) { ++events; });
    heap.SetDebug({.keep_garbage = true});
    Ref<Node> kept = MakeGarbage(heap);
    (void)heap.Collect();
    EXPECT_TRUE(heap.Freeze().ok());
    EXPECT_TRUE(heap.Unfreeze().ok());
    heap.SetDebug({});
    for (const AnyRef& garbage : heap.TakeGarbage()) EXPECT_FALSE(garbage.type_name().empty());
    EXPECT_FALSE(heap.History().empty());
    EXPECT_TRUE(heap.SetPacing({.marker_threads = 3}).ok());
    kept = MakeGarbage(heap);
    (void)heap.Collect();
    EXPECT_TRUE(heap.SetPacing({.marker_threads = 1}).ok());
    (void)heap.Stats();
    const std::array<Ref<Big>, 2> big{heap.Make<Big>(), heap.Make<Big>()};
    struct Driven {
      Driven() { SetCollectorDriven(true); }
      ~Driven() { SetCollectorDriven(false); }
    };
    const Driven driven;
    kept = MakeGarbage(heap);
    EXPECT_TRUE(DriveCollector(std::chrono::microseconds(100)).ok());
    (void)heap.Collect();
    return true;
  }

  // Heaps with functions of the program's, and with something in each list at their end.
  bool Ends(Heap& /*heap*/) {
    FinalizerQueue queue;
    HeapOptions options = test::QuietOptions();
    std::array<int64_t, 8> captured{};
    options.on_limit = [captured](const LimitReport&) { (void)captured; };
    options.finalizer_executor = queue.Executor();
    options.debug.keep_garbage = true;
    absl::StatusOr<std::unique_ptr<Heap>> heap = Heap::Create(options);
    if (!heap.ok()) {
      EXPECT_EQ(heap.status().code(), absl::StatusCode::kResourceExhausted);
      return false;
    }
    // Before the heap's end, however it comes: a task refers to its object.
    struct Drained {
      ~Drained() { (void)queue.Drain(); }
      FinalizerQueue& queue;
    };
    const Drained drained{queue};
    const CollectionCallback callback = (*heap)->OnCollection([](const CollectionEvent&) {});
    // Kept as garbage, and undone by hand: without memory a collection could not do it, and heaps
    // that stay are not many.
    struct Undone {
      ~Undone() {
        const Ref<Ring> ring = weak.Lock();
        if (ring) ring->self = nullptr;
      }
      Weak<Ring> weak;
    };
    Ref<Ring> ring = (*heap)->Make<Ring>(lives_);
    const Undone undone{ring};
    ring->self = ring;
    ring.Reset();
    (void)(*heap)->Make<Finalized>(lives_);
    (void)(*heap)->Collect();
    (void)queue.Drain();
    (void)(*heap)->Collect();
    return true;
  }
};

TEST_F(FaultSurfaceTest, ErrorsNeedNoMemory) {
  FailEachInItsTurn([this](Heap& heap) { return Errors(heap); });
  ExpectNoHeapLost();
}
TEST_F(FaultSurfaceTest, HandlesMapsAndCallbacks) {
  FailEachInItsTurn([this](Heap& heap) { return Handles(heap); });
}
TEST_F(FaultSurfaceTest, WhatAHeapIsAskedFor) {
  FailEachInItsTurn([this](Heap& heap) { return Control(heap); });
}
TEST_F(FaultSurfaceTest, HeapsFromBeginningToEnd) {
  FailEachInItsTurn([this](Heap& heap) { return Ends(heap); });
  ExpectNoHeapLost();
}

}  // namespace
}  // namespace reef
