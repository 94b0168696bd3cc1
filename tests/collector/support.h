// What the suites about the collector share: a heap whose collections the test runs itself.
#ifndef REEF_TESTS_COLLECTOR_SUPPORT_H_
#define REEF_TESTS_COLLECTOR_SUPPORT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

#include "lib/collector/collected_heap.h"
#include "lib/collector/collector.h"
#include "lib/collector/cycle.h"
#include "lib/collector/marker.h"
#include "lib/collector/roots.h"
#include "lib/collector/verifier.h"
#include "lib/memory/heap_table.h"
#include "lib/memory/thread_cache.h"
#include "tests/object/support.h"

namespace reef::collector::test {

using object::test::AddEdge;
using object::test::AddRoot;
using object::test::Counts;
using object::test::DropEdge;
using object::test::DropRoot;
using object::test::Node;
using object::test::StageOf;
using threads::test::Actor;
using threads::test::Gate;

inline void NoPoll() {}

// More edges than a chunk of the mark stack has entries.
struct Fan {
  static constexpr size_t kEdges = 3'000;
  void Trace(Visitor& visitor) const {
    for (const Member<Node>& edge : edges) visitor.Visit(edge);
  }
  std::array<Member<Node>, kEdges> edges;
};

// Keeps the collector's thread in a destructor for as long as it lives. That thread settles what
// waits, and empties orphans, for the whole process; where a test does so itself, step by step, it
// would come between if another test had started it.
class CollectorHeldUp {
 public:
  CollectorHeldUp() {
    EXPECT_NE(memory::EnterHeap(&core_), 0u);
    heap_ = OpenHeap(&core_, {.reserve_bytes = uint64_t{64} << 20}, {.automatic = false});
    if (heap_ == nullptr) std::abort();
    MakeGarbage();
    asker_.Start([this] { (void)Collect(heap_.get()); });
    reached_.Pass();
  }
  ~CollectorHeldUp() {
    leave_.Open();
    asker_.Join();
    EXPECT_EQ(CloseHeap(heap_.get()), 0u);
  }
  CollectorHeldUp(const CollectorHeldUp&) = delete;
  CollectorHeldUp& operator=(const CollectorHeldUp&) = delete;

 private:
  struct Obstacle {
    Obstacle(Gate* my_reached, Gate* my_leave) : reached(my_reached), leave(my_leave) {}
    ~Obstacle() {
      reached->Open();
      leave->Pass();
    }
    void Trace(Visitor& visitor) const { visitor.Visit(self); }
    Member<Obstacle> self;
    Gate* reached;
    Gate* leave;
  };

  // An object that only a collection frees.
  void MakeGarbage() {
    constexpr auto kKind = internal::SlabKind::kTraced;
    constexpr int kClass = internal::ClassFor(kKind, sizeof(Obstacle), alignof(Obstacle));
    internal::Slot* slot = internal::CurrentSlot();
    void* block = memory::Refill(slot, heap_->space.get(), kKind, kClass);
    if (block == nullptr) std::abort();
    internal::UnpoisonBlock(block);
    auto* header = static_cast<Header*>(block);
    internal::BearHeader(slot, &core_, header, &internal::TypeOf<Obstacle>::info, true);
    auto* obstacle = ::new (header->Payload()) Obstacle(&reached_, &leave_);
    header->SetStage(internal::Stage::kLive);
    const_cast<internal::Edge&>(internal::EdgeAccess::Of(obstacle->self)).Store(obstacle);
    DropRoot(obstacle);
  }

  Gate reached_;
  Gate leave_;
  HeapCore core_;
  std::unique_ptr<CollectedHeap> heap_;
  Actor asker_;
};

// Objects of a heap that no collector thread knows of.
class CollectorTest : public object::test::ObjectTest {
 protected:
  CollectorTest() {
    heap_.core = &core_;
    heap_.options.automatic = true;
    heap_.space = std::move(space_);
    core_.collected = &heap_;
  }
  ~CollectorTest() override { space_ = std::move(heap_.space); }

  // An object with one root, made by the calling thread.
  template <typename T, typename... Args>
  T* New(Args&&... args) {
    space_.swap(heap_.space);
    T* object = Make<T>(std::forward<Args>(args)...);
    space_.swap(heap_.space);
    return object;
  }
  Node* NewNode() { return New<Node>(&ends_); }

  template <typename T>
  static internal::Edge& EdgeOf(Member<T>& member) {
    return const_cast<internal::Edge&>(internal::EdgeAccess::Of(member));
  }
  template <typename T>
  static void Point(Member<T>& from, std::type_identity_t<T>* to) {
    EdgeOf(from).Store(to);
  }
  // Two objects that only refer to each other.
  Node* MakeGarbage() {
    Node* one = NewNode();
    Node* two = NewNode();
    Point(one->next, two);
    Point(two->next, one);
    DropRoot(one);
    DropRoot(two);
    return one;
  }
  CollectionReport Collect() { return Cycle(&heap_, &NoPoll).Run(); }
  const Space& space() const { return *heap_.space; }

  CollectedHeap heap_;
};

}  // namespace reef::collector::test

#endif  // REEF_TESTS_COLLECTOR_SUPPORT_H_
