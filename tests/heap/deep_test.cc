// Deep structures die without recursion: on a thread whose stack has 64 KiB.

#include <limits.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Sized;

// The sanitizers' own frames do not fit in 64 KiB; recursion over the lists below would need
// hundreds of times more than either.
constexpr size_t kStackBytes = size_t{test::kSanitized ? 512 : 64} << 10;

// Runs `body` on a thread with a small stack and waits for it.
void RunOnSmallStack(const std::function<void()>& body) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  const size_t bytes = std::max(kStackBytes, static_cast<size_t>(PTHREAD_STACK_MIN));
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&body)),
            0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  ASSERT_EQ(pthread_attr_destroy(&attributes), 0);
}

struct Link {
  ~Link() { ++ended; }
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Link> next;
  // Not atomic: in these tests an object dies on the thread that drops it.
  static int64_t ended;
};
int64_t Link::ended = 0;

struct Fork {
  ~Fork() { ++ended; }
  void Trace(Visitor& v) const { v.Visit(left, right); }
  Member<Fork> left;
  Member<Fork> right;
  static int64_t ended;
};
int64_t Fork::ended = 0;

class DeepTest : public ::testing::Test {
 protected:
  static HeapOptions Options() {
    HeapOptions options = test::QuietOptions();
    options.reserve_bytes = uint64_t{8} << 30;
    return options;
  }

  void SetUp() override {
    Link::ended = 0;
    Fork::ended = 0;
  }
  void TearDown() override {
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }

  Ref<Link> MakeList(size_t length) {
    Ref<Link> head;
    for (size_t i = 0; i < length; ++i) {
      Ref<Link> fresh = heap_->Make<Link>();
      fresh->next = std::move(head);
      head = std::move(fresh);
    }
    return head;
  }

  std::unique_ptr<Heap> heap_ = test::NewHeap(Options());
};

TEST_F(DeepTest, ListDiesOnASmallStack) {
  const size_t length = Sized(100'000'000, 1'000'000);
  RunOnSmallStack([&] {
    Ref<Link> head = MakeList(length);
    head.Reset();
    EXPECT_EQ(Link::ended, static_cast<int64_t>(length));
  });
}

TEST_F(DeepTest, ListCutInTheMiddleDiesOnASmallStack) {
  const size_t length = Sized(4'000'000, 400'000);
  RunOnSmallStack([&] {
    const Ref<Link> head = MakeList(length);
    Link* middle = head.get();
    for (size_t i = 1; i < length / 2; ++i) middle = middle->next.get();
    middle->next = nullptr;
    EXPECT_EQ(Link::ended, static_cast<int64_t>(length - length / 2));
  });
  EXPECT_EQ(Link::ended, static_cast<int64_t>(length));
}

TEST_F(DeepTest, FullBinaryTreeDiesOnASmallStack) {
  const int depth = test::kSlowBuild ? 16 : 21;
  const std::function<Ref<Fork>(int)> make = [&](int levels) {
    Ref<Fork> fork = heap_->Make<Fork>();
    if (levels > 1) {
      fork->left = make(levels - 1);
      fork->right = make(levels - 1);
    }
    return fork;
  };
  RunOnSmallStack([&] {
    Ref<Fork> root = make(depth);
    root.Reset();
    EXPECT_EQ(Fork::ended, (int64_t{1} << depth) - 1);
  });
}

// A spine of `length`, with a tooth of `tooth` objects at every vertebra, on the left or the right.
TEST_F(DeepTest, CombsDieOnASmallStack) {
  constexpr size_t kTooth = 3;
  const size_t length = Sized(1'000'000, 100'000);
  for (const bool spine_is_left : {true, false}) {
    Fork::ended = 0;
    RunOnSmallStack([&] {
      Ref<Fork> head;
      for (size_t i = 0; i < length; ++i) {
        Ref<Fork> tooth;
        for (size_t j = 0; j < kTooth; ++j) {
          Ref<Fork> fresh = heap_->Make<Fork>();
          (spine_is_left ? fresh->left : fresh->right) = std::move(tooth);
          tooth = std::move(fresh);
        }
        Ref<Fork> vertebra = heap_->Make<Fork>();
        (spine_is_left ? vertebra->left : vertebra->right) = std::move(head);
        (spine_is_left ? vertebra->right : vertebra->left) = std::move(tooth);
        head = std::move(vertebra);
      }
      head.Reset();
      EXPECT_EQ(Fork::ended, static_cast<int64_t>(length * (kTooth + 1)));
    });
  }
}

TEST_F(DeepTest, ChainThroughVectorsDiesOnASmallStack) {
  struct Crate {
    void Trace(Visitor& v) const { v.Visit(inner); }
    Vector<Crate> inner;
  };
  const size_t length = Sized(1'000'000, 100'000);
  RunOnSmallStack([&] {
    Ref<Crate> outer;
    for (size_t i = 0; i < length; ++i) {
      Ref<Crate> fresh = heap_->Make<Crate>();
      fresh->inner.push_back(std::move(outer));
      outer = std::move(fresh);
    }
    outer.Reset();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
  });
}

TEST_F(DeepTest, ChainOfRefsDroppedByDestructorsDiesOnASmallStack) {
  // Each object holds the next by a Ref in a std container, which its destructor frees.
  struct Doll {
    std::vector<Ref<Doll>> inner;
  };
  const size_t length = Sized(1'000'000, 100'000);
  RunOnSmallStack([&] {
    Ref<Doll> outer;
    for (size_t i = 0; i < length; ++i) {
      Ref<Doll> fresh = heap_->Make<Doll>();
      fresh->inner.push_back(std::move(outer));
      outer = std::move(fresh);
    }
    outer.Reset();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
  });
}

TEST_F(DeepTest, RingIsCollectedAndItsLongTailDies) {
  struct Ring {
    void Trace(Visitor& v) const { v.Visit(next, tail); }
    Member<Ring> next;
    Member<Link> tail;
  };
  const size_t length = Sized(2'000'000, 200'000);
  {
    const Ref<Ring> ring = heap_->Make<Ring>();
    ring->next = ring;
    ring->tail = MakeList(length);
  }
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(report.objects, length + 1);
}

TEST_F(DeepTest, ListMadeElsewhereDiesWithinSeconds) {
  // Each link is biased to a thread that does not look, and is dropped by the death of the one
  // before it.
  struct Foreign {
    void Trace(Visitor& v) const { v.Visit(next); }
    Member<Foreign> next;
  };
  const size_t length = Sized(50'000, 10'000);
  Ref<Foreign> head;
  for (size_t i = 0; i < length; ++i) {
    Ref<Foreign> fresh = heap_->Make<Foreign>();
    fresh->next = std::move(head);
    head = std::move(fresh);
  }
  RunOnSmallStack([&] { head.Reset(); });
  EXPECT_TRUE(Eventually([&] { return heap_->Stats().live_objects == 0; }, std::chrono::seconds(5)))
      << heap_->Stats().live_objects << " left";
}

TEST_F(DeepTest, ListsDieWholeWhileCollectionsRun) {
  struct Bead {
    void Trace(Visitor& v) const { v.Visit(next); }
    Member<Bead> next;
  };
  const size_t length = Sized(200'000, 20'000);
  {
    const test::ConstantCollector collector(*heap_);
    for (int round = 0; round < 20 || collector.rounds() < 3; ++round) {
      RunOnSmallStack([&] {
        Ref<Bead> head;
        for (size_t i = 0; i < length; ++i) {
          Ref<Bead> fresh = heap_->Make<Bead>();
          fresh->next = std::move(head);
          head = std::move(fresh);
        }
      });
    }
  }
  // One that was under the marker's hands may die on the collector thread a moment later.
  EXPECT_TRUE(Eventually([&] { return heap_->Stats().live_objects == 0; }));
}

}  // namespace
}  // namespace reef
