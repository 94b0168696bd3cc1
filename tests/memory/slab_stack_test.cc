// The lock-free stack of slabs: order, numbering, and nothing lost or doubled under contention.
#include "lib/memory/slab_stack.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

class SlabStackTest : public SpaceTest {
 protected:
  std::vector<Slab*> TakeSlabs(size_t count) {
    std::vector<Slab*> slabs;
    for (size_t i = 0; i < count; ++i) slabs.push_back(space_->TakeSlab(SlabKind::kRaw, kClass));
    return slabs;
  }
  char* base() { return space_->base(); }

  SlabStack stack_;
};

TEST_F(SlabStackTest, NewStackIsEmpty) {
  EXPECT_TRUE(stack_.empty());
  EXPECT_EQ(stack_.Pop(base()), nullptr);
  EXPECT_EQ(stack_.PopAll(base()), nullptr);
}

TEST_F(SlabStackTest, PopReturnsLastPushed) {
  const std::vector<Slab*> slabs = TakeSlabs(3);
  for (Slab* slab : slabs) stack_.Push(base(), slab);
  EXPECT_FALSE(stack_.empty());
  EXPECT_EQ(stack_.Pop(base()), slabs[2]);
  EXPECT_EQ(stack_.Pop(base()), slabs[1]);
  EXPECT_EQ(stack_.Pop(base()), slabs[0]);
  EXPECT_EQ(stack_.Pop(base()), nullptr);
  EXPECT_TRUE(stack_.empty());
}

TEST_F(SlabStackTest, PopAllReturnsTheChainAndEmptiesTheStack) {
  const std::vector<Slab*> slabs = TakeSlabs(3);
  for (Slab* slab : slabs) stack_.Push(base(), slab);
  Slab* slab = stack_.PopAll(base());
  EXPECT_TRUE(stack_.empty());
  for (size_t i = slabs.size(); i-- > 0; slab = NextOf(base(), slab)) ASSERT_EQ(slab, slabs[i]);
  EXPECT_EQ(slab, nullptr);
}

TEST_F(SlabStackTest, StackWorksAfterItRanEmpty) {
  const std::vector<Slab*> slabs = TakeSlabs(2);
  for (int round = 0; round < 3; ++round) {
    stack_.Push(base(), slabs[0]);
    stack_.Push(base(), slabs[1]);
    EXPECT_EQ(stack_.Pop(base()), slabs[1]);
    EXPECT_EQ(stack_.Pop(base()), slabs[0]);
    EXPECT_TRUE(stack_.empty());
  }
}

TEST_F(SlabStackTest, NumbersNameSlabsUniquely) {
  EXPECT_EQ(SlabOfNumber(base(), 0), nullptr);
  std::set<uint32_t> numbers;
  // Three segments' worth: the numbering crosses their borders.
  for (Slab* slab : TakeSlabs(2 * kUsableSlabs + 1)) {
    const uint32_t number = NumberOf(base(), slab);
    EXPECT_NE(number, 0u);
    EXPECT_EQ(SlabOfNumber(base(), number), slab);
    EXPECT_TRUE(numbers.insert(number).second);
  }
}

// Three threads take slabs and put them back; a slab is in one hand, or on the stack, at a time.
TEST_F(SlabStackTest, EverySlabHasOneHolderUnderContention) {
  constexpr int kThreads = 3;
  const std::vector<Slab*> slabs = TakeSlabs(6);
  const auto held = std::make_unique<std::atomic<int>[]>(kSlabsPerSegment);
  const auto place = [](const Slab* slab) {
    return static_cast<size_t>(slab - internal::SegmentOf(slab)->slabs);
  };
  for (Slab* slab : slabs) stack_.Push(base(), slab);
  std::atomic<int> doubled{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::minstd_rand random(static_cast<unsigned>(i) + 1);
      std::vector<Slab*> mine;
      const auto take = [&](Slab* slab) {
        if (held[place(slab)].fetch_add(1, std::memory_order_relaxed) != 0) ++doubled;
        mine.push_back(slab);
      };
      const auto give = [&] {
        held[place(mine.back())].fetch_sub(1, std::memory_order_relaxed);
        stack_.Push(base(), mine.back());
        mine.pop_back();
      };
      for (size_t step = 0; step < 20'000 * kScale; ++step) {
        if (random() % 64 == 0) {
          // A popped chain is the popper's alone, links included.
          for (Slab *slab = stack_.PopAll(base()), *next; slab != nullptr; slab = next) {
            next = NextOf(base(), slab);
            take(slab);
          }
        } else if (random() % 2 == 0) {
          if (Slab* slab = stack_.Pop(base())) take(slab);
        } else if (!mine.empty()) {
          give();
        }
      }
      while (!mine.empty()) give();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(doubled.load(), 0);
  std::set<Slab*> left;
  while (Slab* slab = stack_.Pop(base())) ASSERT_TRUE(left.insert(slab).second);
  EXPECT_EQ(left, std::set<Slab*>(slabs.begin(), slabs.end()));
}

}  // namespace
}  // namespace reef::memory::test
