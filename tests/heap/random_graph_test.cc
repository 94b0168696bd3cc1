// Random graphs against an oracle: after each collection exactly those objects live that a search
// from the roots, in a plain copy of the graph, can reach.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

constexpr size_t kSlots = 3;

struct Node {
  Node(std::vector<uint8_t>* deaths, size_t index) : died(deaths), number(index) {}
  ~Node() { ++(*died)[number]; }
  void Trace(Visitor& v) const {
    for (const Member<Node>& member : members) v.Visit(member);
    v.Visit(more, shared);
  }
  std::vector<uint8_t>* died;
  size_t number;
  Member<Node> members[kSlots];
  Vector<Node> more;
  AtomicMember<Node> shared;
};

constexpr size_t kNone = ~size_t{0};

// The same graph in plain numbers.
struct Shadow {
  size_t members[kSlots] = {kNone, kNone, kNone};
  std::vector<size_t> more;
  size_t shared = kNone;
};

// Changes graph and shadow alike. One thread; others may collect meanwhile.
class Story {
 public:
  // `deaths` is written by destructors, and so must outlive the heap.
  Story(Heap& heap, std::vector<uint8_t>& deaths, uint64_t seed)
      : heap_(heap), random_(seed), deaths_(deaths) {}

  void Step() {
    const size_t choice = test::Below(random_, 100);
    if (roots_.empty() || (choice < 25 && shadows_.size() < deaths_.size())) {
      MakeRoot();
    } else if (choice < 40) {
      DropRoot();
    } else if (choice < 70) {
      SetMember();
    } else if (choice < 85) {
      ChangeVector();
    } else if (choice < 92) {
      SetShared();
    } else {
      RootFromEdge();
    }
  }

  bool Full() const { return shadows_.size() == deaths_.size(); }
  void DropAllRoots() { roots_.clear(); }

  // Each object's number of deaths is 0 if it can be reached, else 1.
  void CheckDeaths() const {
    const std::vector<bool> reached = Reached();
    for (size_t i = 0; i < shadows_.size(); ++i) {
      ASSERT_EQ(deaths_[i], reached[i] ? 0 : 1) << "object " << i << " of " << shadows_.size();
    }
  }

  // All that can be reached has the edges that it should have. Reads dead memory if the
  // engine is wrong: CheckDeaths comes first.
  void CheckEdges() const {
    for (const auto& [root, number] : roots_) {
      ASSERT_EQ(root->number, number);
      const Shadow& shadow = shadows_[number];
      for (size_t i = 0; i < kSlots; ++i) {
        ASSERT_EQ(root->members[i] ? root->members[i]->number : kNone, shadow.members[i]);
      }
      ASSERT_EQ(root->more.size(), shadow.more.size());
      for (size_t i = 0; i < shadow.more.size(); ++i) {
        ASSERT_EQ(root->more[i]->number, shadow.more[i]);
      }
      const Ref<Node> shared = root->shared.Load();
      ASSERT_EQ(shared ? shared->number : kNone, shadow.shared);
    }
  }

 private:
  struct Root {
    Ref<Node> ref;
    size_t number;
  };

  size_t Pick() { return test::Below(random_, roots_.size()); }

  void MakeRoot() {
    if (Full()) return;
    const size_t number = shadows_.size();
    roots_.push_back({heap_.Make<Node>(&deaths_, number), number});
    shadows_.emplace_back();
  }
  void DropRoot() {
    const size_t at = Pick();
    roots_[at] = std::move(roots_.back());
    roots_.pop_back();
  }
  void SetMember() {
    const Root& from = roots_[Pick()];
    const Root& to = roots_[Pick()];
    const size_t slot = test::Below(random_, kSlots);
    if (test::Below(random_, 4) == 0) {
      from.ref->members[slot].Reset();
      shadows_[from.number].members[slot] = kNone;
    } else {
      from.ref->members[slot] = to.ref;
      shadows_[from.number].members[slot] = to.number;
    }
  }
  void ChangeVector() {
    const Root& from = roots_[Pick()];
    const Root& to = roots_[Pick()];
    Vector<Node>& more = from.ref->more;
    std::vector<size_t>& shadow = shadows_[from.number].more;
    if (shadow.size() > 6 || (!shadow.empty() && test::Below(random_, 3) == 0)) {
      const size_t at = test::Below(random_, shadow.size());
      more.swap_remove(at);
      shadow[at] = shadow.back();
      shadow.pop_back();
    } else {
      more.push_back(to.ref);
      shadow.push_back(to.number);
    }
  }
  void SetShared() {
    const Root& from = roots_[Pick()];
    const Root& to = roots_[Pick()];
    const bool none = test::Below(random_, 3) == 0;
    from.ref->shared.Store(none ? Ref<Node>() : to.ref);
    shadows_[from.number].shared = none ? kNone : to.number;
  }
  // The root moves along an edge: what it leaves may become garbage, cyclic or not.
  void RootFromEdge() {
    Root& root = roots_[Pick()];
    const size_t slot = test::Below(random_, kSlots);
    if (!root.ref->members[slot]) return;
    const size_t number = shadows_[root.number].members[slot];
    root.ref = root.ref->members[slot];
    root.number = number;
  }

  std::vector<bool> Reached() const {
    std::vector<bool> reached(shadows_.size(), false);
    std::vector<size_t> open;
    const auto visit = [&](size_t number) {
      if (number == kNone || reached[number]) return;
      reached[number] = true;
      open.push_back(number);
    };
    for (const Root& root : roots_) visit(root.number);
    while (!open.empty()) {
      const Shadow& shadow = shadows_[open.back()];
      open.pop_back();
      for (const size_t number : shadow.members) visit(number);
      for (const size_t number : shadow.more) visit(number);
      visit(shadow.shared);
    }
    return reached;
  }

  Heap& heap_;
  std::mt19937_64 random_;
  std::vector<uint8_t>& deaths_;
  std::vector<Shadow> shadows_;
  std::vector<Root> roots_;
};

using Deaths = std::deque<std::vector<uint8_t>>;

class RandomGraphTest : public ::testing::TestWithParam<int> {
 protected:
  static std::unique_ptr<Heap> MakeHeap() {
    HeapOptions options = test::QuietOptions();
    options.marker_threads = GetParam();
    return test::NewHeap(options);
  }
};
INSTANTIATE_TEST_SUITE_P(Markers, RandomGraphTest, ::testing::Values(1, 3));

TEST_P(RandomGraphTest, ExactlyTheUnreachableDie) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  Deaths all_deaths;
  const std::unique_ptr<Heap> heap = MakeHeap();
  for (uint64_t round = 0; round < 5; ++round) {
    Story story(*heap, all_deaths.emplace_back(test::Sized(4000, 1500)), seed + round);
    for (int step = 1; !story.Full() || step % 500 != 0; ++step) {
      story.Step();
      if (step % 500 == 0) {
        (void)heap->Collect();
        ASSERT_NO_FATAL_FAILURE(story.CheckDeaths());
        ASSERT_NO_FATAL_FAILURE(story.CheckEdges());
        ASSERT_TRUE(heap->Verify().ok()) << heap->Verify();
      }
    }
    story.DropAllRoots();
    (void)heap->Collect();
    ASSERT_NO_FATAL_FAILURE(story.CheckDeaths());
  }
  EXPECT_EQ(heap->Stats().live_objects, 0u);
}

TEST_P(RandomGraphTest, StoriesOfManyThreadsUnderConstantCollection) {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  Deaths all_deaths;
  const std::unique_ptr<Heap> heap = MakeHeap();
  for (int round = 0; round < 3; ++round) {
    constexpr int kThreads = 3;
    std::vector<std::unique_ptr<Story>> stories;
    for (uint64_t i = 0; i < kThreads; ++i) {
      std::vector<uint8_t>& deaths = all_deaths.emplace_back(test::Sized(20'000, 3000));
      stories.push_back(std::make_unique<Story>(*heap, deaths, seed + i));
    }
    {
      const test::ConstantCollector collector(*heap);
      test::RunThreads(kThreads, [&](int i) {
        Story& story = *stories[static_cast<size_t>(i)];
        while (!story.Full()) story.Step();
        for (int step = 0; step < 5000; ++step) story.Step();
        story.CheckEdges();
      });
    }
    (void)heap->Collect();
    for (const auto& story : stories) {
      ASSERT_NO_FATAL_FAILURE(story->CheckDeaths());
      ASSERT_NO_FATAL_FAILURE(story->CheckEdges());
    }
    ASSERT_TRUE(heap->Verify().ok()) << heap->Verify();
    for (const auto& story : stories) story->DropAllRoots();
    (void)heap->Collect();
    for (const auto& story : stories) ASSERT_NO_FATAL_FAILURE(story->CheckDeaths());
  }
}

}  // namespace
}  // namespace reef
