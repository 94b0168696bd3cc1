// Finalizer handles: once, by death, by hand or at exit.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

class WeakFinalizerTest : public test::QuietHeapTest {
 protected:
  Ref<int> MakeObject() { return heap_->Make<int>(1); }
  int calls_ = 0;
};

TEST_F(WeakFinalizerTest, RunsAtDeathWithoutItsHandle) {
  Ref<int> object = MakeObject();
  {
    const Finalizer forgotten(object, [this] { ++calls_; });
  }
  EXPECT_EQ(calls_, 0);
  object.Reset();
  EXPECT_EQ(calls_, 1);
}

TEST_F(WeakFinalizerTest, CalledByHandRunsOnce) {
  Ref<int> object = MakeObject();
  Finalizer finalizer(object, [this] { ++calls_; });
  Finalizer copy = finalizer;
  EXPECT_TRUE(copy.alive());
  EXPECT_TRUE(finalizer());
  EXPECT_FALSE(copy());
  EXPECT_FALSE(copy.alive());
  object.Reset();
  EXPECT_EQ(calls_, 1);
}

TEST_F(WeakFinalizerTest, DetachedDoesNotRun) {
  Ref<int> object = MakeObject();
  Finalizer finalizer(object, [this] { ++calls_; });
  EXPECT_TRUE(finalizer.Peek());
  const std::function<void()> function = finalizer.Detach();
  ASSERT_TRUE(function);
  EXPECT_FALSE(finalizer.Peek());
  EXPECT_FALSE(finalizer.Detach());
  object.Reset();
  EXPECT_EQ(calls_, 0);
  function();
  EXPECT_EQ(calls_, 1);
}

TEST_F(WeakFinalizerTest, EmptyIsNotAlive) {
  Finalizer empty;
  EXPECT_FALSE(empty.alive());
  EXPECT_FALSE(empty());
  EXPECT_FALSE(empty.at_exit());
  Finalizer of_nothing(Ref<int>(), [this] { ++calls_; });
  EXPECT_FALSE(of_nothing());
  EXPECT_EQ(calls_, 0);
}

TEST_F(WeakFinalizerTest, CapturesGoWithTheFunction) {
  const auto captured = std::make_shared<int>(1);
  Ref<int> object = MakeObject();
  Finalizer finalizer(object, [captured] {});
  object.Reset();
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_FALSE(finalizer.alive());
}

TEST_F(WeakFinalizerTest, CallsPassOnWhatTheyThrow) {
  const Ref<int> object = MakeObject();
  Finalizer finalizer(object, [] { throw 7; });
  EXPECT_THROW(finalizer(), int);
  EXPECT_FALSE(finalizer.alive());
}

std::atomic<int> g_told{0};

// Handles, records and cells: none of them stays.
TEST_F(WeakFinalizerTest, ThrowingAtItsObjectsDeathLeavesNothingBehind) {
  g_told = 0;
  const UnraisableHook before = SetUnraisableHook([](const Unraisable&) { ++g_told; });
  const auto captured = std::make_shared<int>(1);
  const auto throw_at_death = [&] {
    Ref<int> object = MakeObject();
    const Finalizer finalizer(object, [captured] { throw std::runtime_error("x"); });
    object.Reset();
    EXPECT_FALSE(finalizer.alive());
  };
  throw_at_death();
  const uint64_t blocks = DefaultHeap().Stats().raw_blocks;
  for (int i = 0; i < 100; ++i) throw_at_death();
  SetUnraisableHook(before);
  EXPECT_EQ(g_told, 101);
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, blocks);
}

// A function that cannot be copied: no finalizer, and no handle of one.
TEST_F(WeakFinalizerTest, NothingHasHappenedIfTheFunctionCannotBeCopied) {
  struct Fragile {
    explicit Fragile(const bool* throws) : throws_when_copied(throws) {}
    Fragile(const Fragile& other) : throws_when_copied(other.throws_when_copied) {
      if (*throws_when_copied) throw std::bad_alloc();
    }
    Fragile& operator=(const Fragile&) = delete;
    ~Fragile() = default;
    const bool* throws_when_copied;
  };
  const Ref<int> object = MakeObject();
  const Weak<int> weak = object;
  bool throws = false;
  const std::function<void()> function = [fragile = Fragile(&throws)] { (void)fragile; };
  throws = true;
  EXPECT_THROW(Finalizer(object, function), std::bad_alloc);
  EXPECT_EQ(WeakCount(object), 1u);
  EXPECT_EQ(CallbackCount(object), 0u);
}

// A call, a Detach and the death of the object, at the same time: one of them has the function.
TEST_F(WeakFinalizerTest, OneOfManyThreadsHasTheFunction) {
  const size_t rounds = test::Sized(2000, 300);
  for (size_t round = 0; round < rounds; ++round) {
    std::atomic<int> calls{0};
    std::atomic<int> called{0};
    std::atomic<int> detached{0};
    Ref<int> object = MakeObject();
    Finalizer finalizer(object, [&calls] { ++calls; });
    std::thread caller([mine = finalizer, &called]() mutable { called += mine() ? 1 : 0; });
    std::thread dropper([gone = std::move(object)]() mutable { gone.Reset(); });
    if (finalizer.Detach()) ++detached;
    caller.join();
    dropper.join();
    (void)heap_->Collect();
    ASSERT_EQ(calls + detached, 1);
    ASSERT_LE(called, calls);
    ASSERT_FALSE(finalizer.alive());
  }
}

TEST(WeakFinalizerDeathTest, NewestFirstAtExitUnlessToldOtherwise) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        static Ref<int> object = Make<int>(1);
        const auto say = [](const char* word) { return [word] { std::fputs(word, stderr); }; };
        Finalizer one(object, say("one."));
        Finalizer silent(object, say("silent."));
        silent.set_at_exit(false);
        Finalizer two(object, say("two."));
        Finalizer throws(object, [] { throw std::runtime_error("thrown"); });
        Finalizer called(object, say("called."));
        called();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "called\\.reef: exception ignored.*thrown.*two\\.one\\.");
}

}  // namespace
}  // namespace reef
