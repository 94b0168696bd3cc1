// Coroutine frames hold Refs, wherever they are resumed and destroyed.

#include <coroutine>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct Item {
  Item(Lives& lives, int number) : life(lives), value(number) {}
  Life life;
  int value;
};

using CoroutineTest = test::QuietHeapTest;

// A coroutine that yields numbers; its frame holds whatever it was given.
class Generator {
 public:
  struct promise_type {
    Generator get_return_object() {
      return Generator(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(int number) noexcept {
      value = number;
      return {};
    }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    int value = 0;
  };

  explicit Generator(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Generator(Generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  Generator& operator=(Generator&&) = delete;
  ~Generator() {
    if (handle_) handle_.destroy();
  }
  // The next number, or nothing.
  std::optional<int> Next() {
    handle_.resume();
    if (handle_.done()) return std::nullopt;
    return handle_.promise().value;
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

Generator CountUp(Ref<Item> item, int most) {
  for (int i = 0; i < most; ++i) {
    const Ref<Item> local = item;
    co_yield local->value + i;
  }
}

TEST_F(CoroutineTest, FramesHoldRefs) {
  Ref<Item> item = heap_->Make<Item>(lives_, 10);
  {
    Generator generator = CountUp(item, 2);
    EXPECT_EQ(RefCount(item), 3);
    EXPECT_EQ(generator.Next(), 10);
    EXPECT_EQ(RefCount(item), 4);
    (void)heap_->Collect();
    EXPECT_EQ(generator.Next(), 11);
    EXPECT_EQ(generator.Next(), std::nullopt);
  }
  EXPECT_EQ(RefCount(item), 2);
  // Given up half way.
  {
    Generator generator = CountUp(std::move(item), 100);
    EXPECT_EQ(generator.Next(), 10);
    EXPECT_EQ(lives_.now(), 1);
  }
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(CoroutineTest, TheyWanderBetweenThreads) {
  std::optional<Generator> generator;
  generator.emplace(CountUp(heap_->Make<Item>(lives_, 0), 1000));
  for (int i = 0; i < 50; ++i) {
    std::thread([&] { ASSERT_EQ(generator->Next(), i); }).join();
    (void)heap_->Collect();
    ASSERT_EQ(lives_.now(), 1);
  }
  std::thread([&] { generator.reset(); }).join();
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

}  // namespace
}  // namespace reef
