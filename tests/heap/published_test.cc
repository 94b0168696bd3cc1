// Published objects under many threads: no reader ever sees one that is half written, destroyed or
// reused, and none is lost.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

constexpr uint64_t kMask = 0x5a5a5a5a5a5a5a5a;
constexpr uint64_t kPoison = 0xdeaddeaddeaddead;

// `plain` and `masked` match while the object lives.
struct Config {
  Config(Lives& lives, uint64_t number) : life(lives), plain(number), masked(number ^ kMask) {}
  ~Config() {
    plain = kPoison;
    masked = kPoison;
  }
  bool Sound() const { return plain == (masked ^ kMask); }
  Life life;
  uint64_t plain;
  uint64_t masked;
};

class PublishedTest : public test::QuietHeapTest {
 protected:
  bool AllGone() {
    return Eventually([&] { return lives_.now() == 0; });
  }
  const int readers_ = 4;
  const uint64_t writes_ = test::Sized(200'000, 30'000);
};

TEST_F(PublishedTest, ReadersSeeWholeObjectsInTheOrderOfTheirStores) {
  AtomicRef<Config> current(heap_->Make<Config>(lives_, uint64_t{0}));
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < readers_; ++reader) {
    readers.emplace_back([&, reader] {
      uint64_t last = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        uint64_t seen = 0;
        if (reader % 2 == 0) {
          const Ref<Config> config = current.Load();
          ASSERT_TRUE(config->Sound());
          seen = config->plain;
        } else {
          const ReadScope scope;
          const Config* config = current.Peek(scope);
          ASSERT_TRUE(config->Sound());
          seen = config->plain;
        }
        ASSERT_GE(seen, last);
        last = seen;
      }
    });
  }
  for (uint64_t i = 1; i <= writes_; ++i) current.Store(heap_->Make<Config>(lives_, i));
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : readers) thread.join();
  EXPECT_EQ(current.Load()->plain, writes_);
  current.Store(nullptr);
  EXPECT_TRUE(AllGone()) << lives_.now();
}

TEST_F(PublishedTest, ManyWritersExchangeWithoutLoss) {
  AtomicRef<Config> current;
  std::atomic<uint64_t> put{0};
  std::atomic<uint64_t> got{0};
  test::RunThreads(4, [&](int thread) {
    for (uint64_t i = 1; i <= writes_ / 4; ++i) {
      const uint64_t number = i * 4 + static_cast<uint64_t>(thread);
      put.fetch_add(number, std::memory_order_relaxed);
      const Ref<Config> former = current.Exchange(heap_->Make<Config>(lives_, number));
      if (!former) continue;
      ASSERT_TRUE(former->Sound());
      got.fetch_add(former->plain, std::memory_order_relaxed);
    }
  });
  const Ref<Config> last = current.Exchange(nullptr);
  EXPECT_EQ(put.load(), got.load() + last->plain);
}

TEST_F(PublishedTest, CompareExchangeMakesAnExactCounter) {
  AtomicRef<Config> counter(heap_->Make<Config>(lives_, uint64_t{0}));
  const uint64_t each = writes_ / 10;
  test::RunThreads(4, [&](int) {
    for (uint64_t i = 0; i < each; ++i) {
      Ref<Config> seen = counter.Load();
      while (!counter.CompareExchange(seen, heap_->Make<Config>(lives_, seen->plain + 1))) {
        ASSERT_TRUE(seen->Sound());
      }
    }
  });
  EXPECT_EQ(counter.Load()->plain, 4 * each);
  counter.Store(nullptr);
  EXPECT_TRUE(AllGone()) << lives_.now();
}

// A stack whose head and links are atomic edges (Treiber).
struct StackNode {
  StackNode(Lives& lives, uint64_t number) : config(lives, number) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Config config;
  AtomicMember<StackNode> next;
};
struct Stack {
  void Push(Ref<StackNode> node) {
    Ref<StackNode> first = head.Load();
    do {
      node->next.Store(first);
    } while (!head.CompareExchange(first, node));
  }
  Ref<StackNode> Pop() {
    Ref<StackNode> first = head.Load();
    while (first && !head.CompareExchange(first, first->next.Load())) {
    }
    return first;
  }
  void Trace(Visitor& v) const { v.Visit(head); }
  AtomicMember<StackNode> head;
};

TEST_F(PublishedTest, StackOfAtomicEdgesLosesNothingUnderCollections) {
  const Ref<Stack> stack = heap_->Make<Stack>();
  const uint64_t each = test::Sized(30'000, 4'000);
  std::atomic<uint64_t> popped{0};
  std::atomic<uint64_t> sum{0};
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(4, [&](int thread) {
      for (uint64_t i = 0; i < each; ++i) {
        const uint64_t number = i * 4 + static_cast<uint64_t>(thread);
        stack->Push(heap_->Make<StackNode>(lives_, number));
        if (i % 2 == 0) continue;
        const Ref<StackNode> node = stack->Pop();
        ASSERT_TRUE(node);
        ASSERT_TRUE(node->config.Sound());
        popped.fetch_add(1, std::memory_order_relaxed);
        sum.fetch_add(node->config.plain, std::memory_order_relaxed);
      }
    });
  }
  while (const Ref<StackNode> node = stack->Pop()) {
    ASSERT_TRUE(node->config.Sound());
    ++popped;
    sum += node->config.plain;
  }
  const uint64_t total = 4 * each;
  EXPECT_EQ(popped.load(), total);
  EXPECT_EQ(sum.load(), total * (total - 1) / 2);
}

TEST_F(PublishedTest, PeekedChainsStaySoundWhileTheyAreCut) {
  // What a published object holds is protected with it.
  const Ref<Stack> stack = heap_->Make<Stack>();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> visited{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < readers_; ++i) {
    readers.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        const ReadScope scope;
        for (const StackNode* node = stack->head.Peek(scope); node != nullptr;
             node = node->next.Peek(scope)) {
          ASSERT_TRUE(node->config.Sound());
          visited.fetch_add(1, std::memory_order_relaxed);
        }
      }
    });
  }
  const uint64_t rounds = test::Sized(5000, 500);
  for (uint64_t round = 0; round < rounds || visited.load() < 1000; ++round) {
    for (uint64_t i = 0; i < 20; ++i) stack->Push(heap_->Make<StackNode>(lives_, i));
    if (round % 2 == 0) {
      while (stack->Pop()) {
      }
    } else {
      stack->head.Store(nullptr);
    }
  }
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : readers) thread.join();
  stack->head.Store(nullptr);
  EXPECT_TRUE(AllGone()) << lives_.now();
}

TEST_F(PublishedTest, CollectFinishesALongChain) {
  // Each object's destructor lets go of the next one, which is published, too.
  for (const size_t length : {size_t{10}, size_t{1000}, test::Sized(30'000, 5'000)}) {
    {
      const Ref<Stack> stack = heap_->Make<Stack>();
      for (uint64_t i = 0; i < length; ++i) stack->Push(heap_->Make<StackNode>(lives_, i));
    }
    (void)heap_->Collect();
    ASSERT_EQ(lives_.now(), 0) << "of " << length;
  }
}

TEST_F(PublishedTest, RetiredMemoryGoesBackWhileStoresGoOn) {
  AtomicRef<Config> current;
  for (uint64_t i = 0; i < writes_; ++i) current.Store(heap_->Make<Config>(lives_, i));
  current.Store(nullptr);
  EXPECT_TRUE(AllGone()) << lives_.now();
  EXPECT_TRUE(Eventually([&] { return heap_->Stats().retired_bytes == 0; }));
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

}  // namespace
}  // namespace reef
