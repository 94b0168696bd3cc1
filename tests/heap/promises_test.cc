// What the README promises, promise by promise and in its words, each in its smallest decisive
// form. The suites beside this one try the same promises at length and under load.

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <ucontext.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

// Notes the thread that its destructor ran on.
struct Item {
  Item(Lives& lives, std::thread::id* where) : life(lives), died_on(where) {}
  explicit Item(Lives& lives) : Item(lives, nullptr) {}
  ~Item() {
    if (died_on != nullptr) *died_on = std::this_thread::get_id();
  }
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  std::thread::id* died_on;
  Member<Item> next;
};

class PromiseTest : public test::QuietHeapTest {
 protected:
  // A thread with a heap's slot that computes and waits, but never calls the engine again.
  class Sleeper {
   public:
    explicit Sleeper(std::function<void()> first) {
      std::promise<void> ready;
      thread_ = std::thread([this, &ready, first = std::move(first)] {
        first();
        ready.set_value();
        awake_.wait(false, std::memory_order_acquire);
      });
      ready.get_future().wait();
    }
    ~Sleeper() {
      awake_.store(true, std::memory_order_release);
      awake_.notify_one();
      thread_.join();
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

   private:
    std::atomic<bool> awake_{false};
    std::thread thread_;
  };

  void MakeRing(size_t length) {
    const Ref<Item> first = heap_->Make<Item>(lives_);
    Ref<Item> last = first;
    for (size_t i = 1; i < length; ++i) {
      Ref<Item> next = heap_->Make<Item>(lives_);
      last->next = next;
      last = std::move(next);
    }
    last->next = first;
  }
};

// --- 1. Prompt ---

TEST_F(PromiseTest, PromptBeforeTheStatementEndsAndOnThatThread) {
  std::thread::id died_on;
  Ref<Item> parent = heap_->Make<Item>(lives_);
  parent->next = heap_->Make<Item>(lives_, &died_on);
  const Ref<Item> copy = parent;
  parent.Reset();
  EXPECT_EQ(lives_.now(), 2);
  const_cast<Ref<Item>&>(copy).Reset();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(died_on, std::this_thread::get_id());
}

TEST_F(PromiseTest, PromptOrAfterAGracePeriodIfPublished) {
  AtomicRef<Item> published(heap_->Make<Item>(lives_));
  {
    const ReadScope scope;
    const Item* seen = published.Peek(scope);
    published.Store(nullptr);
    EXPECT_EQ(lives_.now(), 1) << "this scope may still show it";
    EXPECT_FALSE(seen->next);
  }
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

// Its first Trace stays where it is until it is let go: the object is under the marker's hands.
struct SlowToTrace {
  struct Hands {
    std::latch reached{1};
    std::latch go_on{1};
    std::thread::id traced_on;
    std::thread::id died_on;
  };
  SlowToTrace(Lives& lives, Hands& my_hands) : life(lives), hands(my_hands) {}
  ~SlowToTrace() { hands.died_on = std::this_thread::get_id(); }
  void Trace(Visitor& /*v*/) const {
    if (hands.traced_on != std::thread::id()) return;
    hands.traced_on = std::this_thread::get_id();
    hands.reached.count_down();
    hands.go_on.wait();
  }
  Life life;
  Hands& hands;
};

// A collection that stays in the middle of tracing an object until it is let go.
class HeldMarker {
 public:
  HeldMarker(Heap& heap, Lives& lives)
      : object(heap.Make<SlowToTrace>(lives, hands)), asker_([&heap] { (void)heap.Collect(); }) {
    hands.reached.wait();
  }
  ~HeldMarker() {
    if (asker_.joinable()) LetGo();
  }
  HeldMarker(const HeldMarker&) = delete;
  HeldMarker& operator=(const HeldMarker&) = delete;
  // Returns at the end of the collection.
  void LetGo() {
    hands.go_on.count_down();
    asker_.join();
  }

  SlowToTrace::Hands hands;
  Ref<SlowToTrace> object;

 private:
  std::thread asker_;  // last: it uses the others
};

TEST_F(PromiseTest, PromptOrOnTheCollectorThreadIfUnderTheMarkersHands) {
  HeldMarker marker(*heap_, lives_);
  marker.object.Reset();
  EXPECT_EQ(lives_.now(), 1) << "the marker is still at it";
  marker.LetGo();
  EXPECT_EQ(lives_.now(), 0) << "at once after, hence before the collection's end";
  EXPECT_EQ(marker.hands.died_on, marker.hands.traced_on);
  EXPECT_NE(marker.hands.died_on, std::this_thread::get_id());
}

TEST_F(PromiseTest, PromptOrAtTheNextRevocationIfBiasedToAnotherThread) {
  constexpr int64_t kMostWaiting = 64;
  constexpr int64_t kDrops = 10 * kMostWaiting;
  // The collector thread would revoke as well, and have some of them in hand when this one looks.
  HeldMarker marker(*heap_, lives_);
  std::vector<Ref<Item>> made;
  const Sleeper owner([&] {
    for (int64_t i = 0; i < kDrops + 1; ++i) made.push_back(heap_->Make<Item>(lives_));
  });
  Ref<Item> last = std::move(made.back());
  made.clear();
  constexpr int64_t kHeld = 2;  // the last one, and the marker's
  EXPECT_LT(lives_.now(), kMostWaiting + kHeld) << "as many do not wait for the next millisecond";
  last.Reset();
  marker.LetGo();
  marker.object.Reset();
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

TEST_F(PromiseTest, PromptWithoutRecursion) {
  Ref<Item> list;
  for (size_t i = 0; i < test::Sized(1'000'000, 100'000); ++i) {
    Ref<Item> node = heap_->Make<Item>(lives_);
    node->next = std::move(list);
    list = std::move(node);
  }
  list.Reset();
  EXPECT_EQ(lives_.now(), 0);
}

// --- 2. Complete ---

TEST_F(PromiseTest, CompleteAcyclicByCountsCyclicByTheCollector) {
  heap_->Make<Item>(lives_)->next = heap_->Make<Item>(lives_);
  EXPECT_EQ(lives_.now(), 0);
  MakeRing(5);
  EXPECT_EQ(lives_.now(), 5);
  EXPECT_EQ(heap_->Collect().objects, 5u);
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(PromiseTest, CompleteWhenTheOwnerSleepsForEverOrHasEnded) {
  Ref<Item> of_sleeper;
  Ref<Item> of_ended;
  const Sleeper owner([&] {
    of_sleeper = heap_->Make<Item>(lives_);
    MakeRing(3);
  });
  std::thread([&] {
    of_ended = heap_->Make<Item>(lives_);
    MakeRing(4);
  }).join();
  of_sleeper.Reset();
  of_ended.Reset();
  (void)heap_->Collect();
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

// --- 3. Exact ---

TEST_F(PromiseTest, ExactNoWordOnAStackOrInForeignMemoryKeepsAnObject) {
  std::array<Item*, 2> on_stack{};
  const auto elsewhere = std::make_unique<std::array<Item*, 2>>();
  {
    const Ref<Item> a = heap_->Make<Item>(lives_);
    a->next = heap_->Make<Item>(lives_);
    a->next->next = a;
    on_stack = {a.get(), a->next.get()};
    *elsewhere = on_stack;
  }
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_NE(on_stack[0], (*elsewhere)[1]);  // both are still there
}

TEST_F(PromiseTest, ExactGlobalsThreadLocalsContainersAndExceptionsHoldRefs) {
  static Ref<Item> global;
  static thread_local Ref<Item> local;
  global = heap_->Make<Item>(lives_);
  local = heap_->Make<Item>(lives_);
  std::vector<std::pair<int, Ref<Item>>> contained(1);
  contained[0].second = heap_->Make<Item>(lives_);
  try {
    throw heap_->Make<Item>(lives_);
  } catch (const Ref<Item>& thrown) {
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 4);
    EXPECT_FALSE(thrown->next);
  }
  EXPECT_EQ(lives_.now(), 3);
  global.Reset();
  local.Reset();
}

// The sanitizers do not follow a switch of stacks that they were not told of.
#if !REEF_TEST_ASAN && !REEF_TEST_TSAN
struct Fiber {
  Heap* heap;
  Lives* lives;
  ucontext_t caller;
  ucontext_t self;
  bool alive = false;
};
Fiber* g_fiber;

void RunFiber() {
  const Ref<Item> held = g_fiber->heap->Make<Item>(*g_fiber->lives);
  held->next = held;
  (void)swapcontext(&g_fiber->self, &g_fiber->caller);
  g_fiber->alive = held->next == held;
}

TEST_F(PromiseTest, ExactAFibersStackHoldsRefs) {
  Fiber fiber{.heap = heap_.get(), .lives = &lives_, .caller = {}, .self = {}};
  g_fiber = &fiber;
  std::vector<char> stack(256 << 10);
  ASSERT_EQ(getcontext(&fiber.self), 0);
  fiber.self.uc_stack.ss_sp = stack.data();
  fiber.self.uc_stack.ss_size = stack.size();
  fiber.self.uc_link = &fiber.caller;
  makecontext(&fiber.self, &RunFiber, 0);
  (void)swapcontext(&fiber.caller, &fiber.self);
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 1) << "held by a stack that is not running";
  (void)swapcontext(&fiber.caller, &fiber.self);
  EXPECT_TRUE(fiber.alive);
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}
#endif

// --- 4. No pause ---

TEST_F(PromiseTest, NoPauseACollectionNeedsNobodysHelp) {
  const Sleeper blocked([&] { MakeRing(2); });
  std::atomic<bool> stop{false};
  std::promise<void> ready;
  std::thread computing([&] {
    MakeRing(2);
    ready.set_value();
    while (!stop.load(std::memory_order_relaxed)) {
    }
  });
  ready.get_future().wait();
  for (int i = 0; i < 3; ++i) {
    MakeRing(2);
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 0);
  }
  stop.store(true, std::memory_order_relaxed);
  computing.join();
}

// --- 5. Lock-free: story_stopped_in_the_engine_test.cc ---

// --- 6. Typed failure ---

TEST(PromiseOfFailureTest, TypedFailureAndTheHeapGoesOn) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{16} << 20;
  const std::unique_ptr<Heap> heap = test::NewHeap(options);
  struct Big {
    std::array<char, 100'000> bytes;
  };
  struct Throws {
    Throws() { throw std::runtime_error("no"); }
  };
  std::vector<Ref<Big>> kept;
  absl::Status status;
  while (status.ok()) {
    absl::StatusOr<Ref<Big>> made = heap->TryMake<Big>();
    status = made.status();
    if (made.ok()) kept.push_back(*std::move(made));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THROW((void)heap->Make<Big>(), OutOfMemory);
  EXPECT_THROW((void)heap->Make<Big>(), std::bad_alloc);
  kept.pop_back();
  EXPECT_TRUE(heap->TryMake<Big>().ok());
  kept.clear();
  EXPECT_THROW((void)heap->Make<Throws>(), std::runtime_error);
  EXPECT_EQ(heap->Stats().live_objects, 0u);
  const absl::Status state = heap->Verify();
  EXPECT_TRUE(state.ok()) << state;
}

// --- 7. Weak is honest: promises_weak_test.cc ---

// --- 8. Memory goes back ---

TEST(PromiseOfMemoryTest, MemoryGoesBackWithinASecondAlsoWhenIdle) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  struct Block {
    Block() { bytes.fill(1); }
    std::array<char, 2000> bytes;
  };
  constexpr uint64_t kPeak = uint64_t{64} << 20;
  std::vector<Ref<Block>> blocks;
  while (blocks.size() * sizeof(Block) < kPeak) blocks.push_back(heap->Make<Block>());
  EXPECT_GE(heap->Stats().resident_bytes, kPeak);
  blocks.clear();
  EXPECT_TRUE(test::WithinASecond([&] { return heap->Stats().resident_bytes <= kPeak / 8; }))
      << heap->Stats().resident_bytes;
}

}  // namespace
}  // namespace reef
