// What the suites about the sweeper share: garbage of several kinds, and its three passes.
#ifndef REEF_TESTS_COLLECTOR_SWEEPER_SUPPORT_H_
#define REEF_TESTS_COLLECTOR_SWEEPER_SUPPORT_H_

#include <atomic>
#include <cstdint>
#include <new>

#include "gtest/gtest.h"

#include "lib/collector/sweeper.h"
#include "tests/collector/support.h"

namespace reef::collector::test {

// Looks around when its destructor runs.
struct Witness {
  explicit Witness(std::atomic<int>* my_ends) : ends(my_ends) {}
  ~Witness() {
    ends->fetch_add(1);
    if (next.get() == nullptr && other.get() == nullptr) ++saw_null;
    if (StageOf(this) == internal::Stage::kDestroying) ++saw_destroying;
    if (Counts::Of(this).flags == (internal::kDead | internal::kMerged)) ++saw_dead;
    DropRoot(this);  // of a dead object: must do nothing
  }
  void Trace(Visitor& visitor) const { visitor.Visit(next, other); }
  Member<Witness> next;
  Member<Node> other;
  std::atomic<int>* ends;
  static inline int saw_null = 0;
  static inline int saw_destroying = 0;
  static inline int saw_dead = 0;
};

// Too large for a slab's blocks.
struct Large {
  explicit Large(std::atomic<int>* my_ends) : ends(my_ends) {}
  ~Large() { ends->fetch_add(1); }
  void Trace(Visitor& visitor) const { visitor.Visit(next); }
  Member<Large> next;
  std::atomic<int>* ends;
  char bytes[100'000];
};

inline int g_polls = 0;
inline void CountPoll() { ++g_polls; }

// Objects are born white here; whoever is to live is painted.
class SweeperTest : public CollectorTest {
 protected:
  static constexpr uint8_t kBlack = 2;

  template <typename T>
  static T* Paint(T* payload) {
    Header::Of(payload)->SetColour(kBlack);
    return payload;
  }
  CollectionReport CondemnAll() {
    CollectionReport report;
    ClearedCells cells;
    Condemn(space(), kBlack, &report, &cells, &NoPoll);
    return report;
  }
  void Clear() { ClearGarbage(space(), kBlack, internal::CurrentSlot(), &NoPoll); }
  void Free() {
    g_polls = 0;
    FreeGarbage(space(), kBlack, internal::CurrentSlot(), &CountPoll);
  }
  // All three, as a collection does it.
  CollectionReport Sweep() {
    const CollectionReport report = CondemnAll();
    Clear();
    Free();
    return report;
  }
  uint64_t UsedBlocks() const {
    uint64_t used = 0;
    space().ForEachSlab([&used](const Slab& slab) { used += Space::UsedBlocks(slab); });
    return used;
  }
  Witness* MakeWitnesses(int count) {
    Witness* first = New<Witness>(&ends_);
    Witness* last = first;
    for (int i = 1; i < count; ++i) {
      Witness* witness = New<Witness>(&ends_);
      Point(last->next, witness);
      DropRoot(witness);
      last = witness;
    }
    Point(last->next, first);
    DropRoot(first);
    return first;
  }
  Large* NewLarge() {
    void* block =
        heap_.space->AllocateRun(internal::SlabKind::kTraced, sizeof(Large), alignof(Large));
    EXPECT_NE(block, nullptr);
    auto* header = static_cast<Header*>(block);
    internal::BearHeader(internal::CurrentSlot(), &core_, header, &internal::TypeOf<Large>::info,
                         true);
    Large* large = ::new (header->Payload()) Large(&ends_);
    header->SetStage(internal::Stage::kLive);
    return large;
  }
  // Two of them, each with slabs of its own.
  Large* MakeLargeGarbage() {
    Large* one = NewLarge();
    Large* two = NewLarge();
    Point(one->next, two);
    Point(two->next, one);
    DropRoot(one);
    DropRoot(two);
    return one;
  }
};

}  // namespace reef::collector::test

#endif  // REEF_TESTS_COLLECTOR_SWEEPER_SUPPORT_H_
