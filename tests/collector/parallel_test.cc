// Several markers at once: all work is done, whoever has it, and all of them end.
#include "lib/collector/parallel.h"

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

// Says on which thread it was traced.
struct Traveller {
  void Trace(Visitor& /*visitor*/) const { traced_by = std::this_thread::get_id(); }
  static inline std::thread::id traced_by;
};

class ParallelTest : public CollectorTest {
 protected:
  static constexpr uint8_t kBlack = 9;
  using Markers = std::vector<std::unique_ptr<Marker>>;

  Markers NewMarkers(int count) {
    Markers markers;
    for (int i = 0; i < count; ++i) {
      // As in a collection: only the first one polls.
      const Marker::Poll poll = i == 0 ? &NoPoll : nullptr;
      markers.push_back(std::make_unique<Marker>(space(), kBlack, i, poll));
    }
    return markers;
  }
  static uint64_t MarkedBy(const Markers& markers) {
    uint64_t marked = 0;
    for (const auto& marker : markers) marked += marker->marked();
    return marked;
  }
  static void ExpectAtRest(const Markers& markers) {
    for (const auto& marker : markers) {
      EXPECT_TRUE(marker->Empty());
      EXPECT_FALSE(marker->Failed());
      EXPECT_FALSE(marker->conservative());
    }
  }
  // Remembers the object.
  Node* Add() {
    nodes_.push_back(NewNode());
    return nodes_.back();
  }
  Node* AddList(int length) {
    Node* head = Add();
    for (int i = 1; i < length; ++i) {
      Node* node = Add();
      Point(node->next, head);
      head = node;
    }
    return head;
  }
  // Remembered objects that are not black.
  size_t CountWhite() const {
    size_t white = 0;
    for (const Node* node : nodes_) {
      if (Header::Of(node)->Colour() != kBlack) ++white;
    }
    return white;
  }

  std::vector<Node*> nodes_;
};

TEST_F(ParallelTest, MarkersWithNothingToDoEnd) {
  for (const int count : {1, 2, threads::kMaxMarkers}) {
    const Markers markers = NewMarkers(count);
    RunMarkers(markers);
    ExpectAtRest(markers);
    EXPECT_EQ(MarkedBy(markers), 0u);
  }
}

TEST_F(ParallelTest, OneMarkerDoesItAll) {
  const Markers markers = NewMarkers(1);
  markers[0]->Push(Header::Of(AddList(10'000)));
  RunMarkers(markers);
  ExpectAtRest(markers);
  EXPECT_EQ(CountWhite(), 0u);
  EXPECT_EQ(MarkedBy(markers), nodes_.size());
}

// More markers than processors: those that find no worker do their work as well.
TEST_F(ParallelTest, EachMarkerHasADeepListOfItsOwn) {
  const Markers markers = NewMarkers(threads::kMaxMarkers);
  for (const auto& marker : markers) marker->Push(Header::Of(AddList(2'000)));
  RunMarkers(markers);
  ExpectAtRest(markers);
  EXPECT_EQ(CountWhite(), 0u);
  EXPECT_EQ(MarkedBy(markers), nodes_.size());
}

// In a tree no object is reached twice, so chunks that change hands must neither be lost nor
// copied.
TEST_F(ParallelTest, TreeOfOneMarkerIsMarkedExactlyOnce) {
  constexpr int kFans = static_cast<int>(4 * threads::test::kScale);
  const Markers markers = NewMarkers(4);
  for (int i = 0; i < kFans; ++i) {
    Fan* fan = New<Fan>();
    for (Member<Node>& edge : fan->edges) Point(edge, AddList(3));
    markers[0]->Push(Header::Of(fan));
  }
  RunMarkers(markers);
  ExpectAtRest(markers);
  EXPECT_EQ(CountWhite(), 0u);
  EXPECT_EQ(MarkedBy(markers), nodes_.size() + kFans);
}

TEST_F(ParallelTest, WhatIsReachableFromSeveralMarkersIsMarkedAndNothingElse) {
  constexpr size_t kCount = 20'000;
  for (size_t i = 0; i < kCount; ++i) Add();
  // From an even place only even places are reachable.
  for (size_t i = 0; i < kCount; ++i) {
    Point(nodes_[i]->next, nodes_[(7 * i + 2) % kCount]);
    Point(nodes_[i]->other, nodes_[(3 * i + 4) % kCount]);
  }
  const Markers markers = NewMarkers(4);
  std::set<size_t> reachable;
  std::vector<size_t> left;
  const auto reach = [&](size_t place) {
    if (reachable.insert(place).second) left.push_back(place);
  };
  for (size_t i = 0; i < 400; i += 2) {
    for (const auto& marker : markers) marker->Push(Header::Of(nodes_[i]));
    reach(i);
  }
  while (!left.empty()) {
    const size_t place = left.back();
    left.pop_back();
    reach((7 * place + 2) % kCount);
    reach((3 * place + 4) % kCount);
  }
  RunMarkers(markers);
  ExpectAtRest(markers);
  EXPECT_GE(MarkedBy(markers), reachable.size()) << "two may trace one object";
  for (size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(Header::Of(nodes_[i])->Colour() == kBlack, reachable.contains(i)) << i;
  }
  EXPECT_GT(reachable.size(), kCount / 4) << "else this test says little";
}

TEST_F(ParallelTest, MarkersRunAgainWithWhatTheLogsBrought) {
  const Markers markers = NewMarkers(3);
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(markers[0]->PushIfWhite(Header::Of(AddList(500))));
    RunMarkers(markers);
    ExpectAtRest(markers);
    ASSERT_EQ(CountWhite(), 0u) << round;
    ASSERT_EQ(MarkedBy(markers), nodes_.size()) << round;
  }
}

TEST_F(ParallelTest, FirstMarkerRunsOnTheCallingThread) {
  const Markers markers = NewMarkers(3);
  markers[0]->Push(Header::Of(New<Traveller>()));
  Traveller::traced_by = {};
  RunMarkers(markers);
  EXPECT_EQ(Traveller::traced_by, std::this_thread::get_id());
  EXPECT_EQ(markers[0]->marked(), 1u);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
using ParallelDeathTest = ParallelTest;

// Uses up what memory the process may have. What is left does for no allocation at all.
void ExhaustMemory() {
  const rlimit none{.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &none) != 0) std::_Exit(2);
  for (size_t bytes = size_t{1} << 20; bytes >= 16; bytes /= 2) {
    while (::operator new(bytes, std::nothrow) != nullptr) {
    }
  }
}

TEST_F(ParallelDeathTest, MarkersThatCannotBeStartedAreRunHere) {
  // A process of its own: oneTBB must meet the shortage when it starts.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const Markers markers = NewMarkers(4);
        for (const auto& marker : markers) marker->Push(Header::Of(AddList(100)));
        ExhaustMemory();
        RunMarkers(markers);
        std::_Exit(CountWhite() == 0 && MarkedBy(markers) == nodes_.size() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace reef::collector::test
