// Finalizer handles: once, by death, by hand or at exit.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
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
