// A thread is stopped by a signal at random moments, most of them inside the engine, and stays
// stopped. The others go on: nothing that is promised to be lock-free waits for it. Collections
// are asked for all the time: where the thread stands inside a bracket, the collector waits for it,
// and the others run, and log, with a collection armed.
//
// Not under the thread sanitizer, which delivers signals only where it likes to: at calls that it
// knows, never inside the engine.

#include "tests/heap/support.h"

#if !REEF_TEST_TSAN

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct Leaf {
  explicit Leaf(Lives& lives) : life(lives) {}
  Life life;
};
struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, leaf); }
  Life life;
  Member<Node> next;
  Member<Leaf> leaf;
};

// How the stopped thread is held: it posts `stopped` and reads a byte, both by functions that a
// signal handler may call.
sem_t g_stopped;
int g_go[2];

void StopHere(int /*signal*/) {
  const int saved = errno;
  (void)sem_post(&g_stopped);
  char byte = 0;
  while (read(g_go[0], &byte, 1) < 0 && errno == EINTR) {
  }
  errno = saved;
}

class StoppedInTheEngineStory : public test::QuietHeapTest {
 protected:
  static constexpr size_t kPlaces = 64;
  static constexpr size_t kSteps = 400;  // of every other thread, while one is stopped

  void SetUp() override {
    ASSERT_EQ(sem_init(&g_stopped, 0, 0), 0);
    ASSERT_EQ(pipe(g_go), 0);
    struct sigaction action = {};
    action.sa_handler = &StopHere;
    ASSERT_EQ(sigaction(SIGUSR2, &action, &former_), 0);
    for (size_t i = 0; i < kPlaces; ++i) {
      places_[i].Store(heap_->Make<Node>(lives_));
      handles_[i].Store(places_[i].Load());
    }
  }
  void TearDown() override {
    for (AtomicRef<Node>& place : places_) place.Store(nullptr);
    for (AtomicWeak<Node>& handle : handles_) handle.Store(nullptr);
    QuietHeapTest::TearDown();
    (void)sigaction(SIGUSR2, &former_, nullptr);
    (void)close(g_go[0]);
    (void)close(g_go[1]);
    (void)sem_destroy(&g_stopped);
  }

  // One of everything that must not wait for another thread.
  void Step(std::mt19937_64& random, std::vector<Ref<Node>>* held) {
    Ref<Node> made = heap_->Make<Node>(lives_);
    made->leaf = heap_->Make<Leaf>(lives_);
    void* bytes = heap_->Allocate(1 + test::Below(random, 2000));
    AtomicRef<Node>& place = places_[test::Below(random, kPlaces)];
    if (Ref<Node> found = place.Load()) {
      made->next = found->next ? nullptr : std::move(found);  // chains stay short
    }
    {
      const ReadScope scope;
      Node* seen = places_[test::Below(random, kPlaces)].Peek(scope);
      if (seen != nullptr) made->leaf = seen->leaf;
      if (const Ref<Node> counted = TryRef(scope, seen)) locked_.fetch_add(1);
    }
    StepWeakly(random, made);
    Ref<Node> former = places_[test::Below(random, kPlaces)].Exchange(made);
    Ref<Node>& slot = (*held)[test::Below(random, held->size())];
    slot = random() % 2 == 0 ? std::move(former) : std::move(made);
    heap_->Deallocate(bytes);
  }

  // The same for weak handles.
  void StepWeakly(std::mt19937_64& random, const Ref<Node>& made) {
    AtomicWeak<Node>& handle = handles_[test::Below(random, kPlaces)];
    const Weak<Node> loaded = handle.Load();
    const Weak<Node> copy = loaded;
    if (const Ref<Node> locked = copy.Lock()) locked_.fetch_add(1);
    if (const Ref<Node> locked = handles_[test::Below(random, kPlaces)].Lock()) {
      locked_.fetch_add(1);
    }
    // The first handle in a slab takes memory from operator new, which locks in that build.
    Weak<Node> fresh = REEF_TEST_ASAN ? loaded : Weak<Node>(made);
    Weak<Node> expected = handle.Exchange(fresh);
    (void)handles_[test::Below(random, kPlaces)].CompareExchange(expected, std::move(fresh));
  }

  void Run();

  std::array<AtomicRef<Node>, kPlaces> places_;
  std::array<AtomicWeak<Node>, kPlaces> handles_;
  std::atomic<uint64_t> locked_{0};  // by handles and peeked pointers
  uint64_t armed_rounds_ = 0;  // in which a collection was under way while the thread was stopped
  struct sigaction former_ = {};
};

void StoppedInTheEngineStory::Run() {
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  std::atomic<bool> done{false};
  std::atomic<uint64_t> victim_steps{0};
  std::thread victim([&] {
    std::mt19937_64 random(seed);
    std::vector<Ref<Node>> held(16);
    while (!done.load(std::memory_order_relaxed)) {
      Step(random, &held);
      victim_steps.fetch_add(1, std::memory_order_relaxed);
    }
  });

  constexpr int kOthers = 2;
  std::array<std::atomic<uint64_t>, kOthers> wanted{};
  std::array<std::atomic<uint64_t>, kOthers> reached{};
  std::vector<std::thread> others;
  for (size_t i = 0; i < kOthers; ++i) {
    others.emplace_back([&, i] {
      std::mt19937_64 random(seed + 1 + i);
      std::vector<Ref<Node>> held(16);
      for (uint64_t step = 0; !done.load(std::memory_order_relaxed);) {
        wanted[i].wait(step, std::memory_order_acquire);
        for (; step < wanted[i].load(std::memory_order_acquire); ++step) {
          Step(random, &held);
          reached[i].store(step + 1, std::memory_order_release);
        }
      }
    });
  }

  std::mt19937_64 random(seed + 99);
  const size_t rounds = test::Sized(300, 60);
  for (size_t round = 1; round <= rounds; ++round) {
    // Let it come to anywhere.
    const uint64_t until = victim_steps.load(std::memory_order_relaxed) + test::Below(random, 20);
    ASSERT_TRUE(Eventually([&] { return victim_steps.load(std::memory_order_relaxed) >= until; }));
    ASSERT_EQ(pthread_kill(victim.native_handle(), SIGUSR2), 0);
    while (sem_wait(&g_stopped) != 0) ASSERT_EQ(errno, EINTR);
    const uint64_t goal = round * kSteps;
    for (auto& each : wanted) {
      each.store(goal, std::memory_order_release);
      each.notify_one();
    }
    for (size_t i = 0; i < kOthers; ++i) {
      EXPECT_TRUE(Eventually([&] { return reached[i].load(std::memory_order_acquire) >= goal; }))
          << "thread " << i << " stands still in round " << round;
    }
    if (heap_->IsCollecting()) ++armed_rounds_;
    ASSERT_EQ(write(g_go[1], "x", 1), 1);
    if (HasFailure()) break;
  }
  done.store(true, std::memory_order_relaxed);
  for (auto& each : wanted) {
    each.fetch_add(1, std::memory_order_release);
    each.notify_one();
  }
  victim.join();
  for (std::thread& other : others) other.join();
  EXPECT_GT(locked_.load(), rounds);
}

TEST_F(StoppedInTheEngineStory, OthersAllocateCountStoreLoadLockAndFree) { Run(); }

TEST_F(StoppedInTheEngineStory, OthersGoOnWhileCollectionsAreArmed) {
  const test::ConstantCollector collector(*heap_);
  Run();
  EXPECT_GT(armed_rounds_, 0u) << "no collection was armed while the thread was stopped";
}

}  // namespace
}  // namespace reef

#endif  // !REEF_TEST_TSAN
