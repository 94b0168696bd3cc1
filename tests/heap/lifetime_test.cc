// Where Refs may live: thread_locals, containers, exceptions, other threads.

#include <any>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

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

using LifetimeTest = test::QuietHeapTest;

// Lives and dies with its thread; makes and drops objects at both ends.
struct ThreadItems {
  ~ThreadItems() {
    if (heap == nullptr) return;
    Ref<Item> late = heap->Make<Item>(*lives, 3);
    held.push_back(late);
  }
  Heap* heap = nullptr;
  Lives* lives = nullptr;
  std::vector<Ref<Item>> held;
};
ThreadItems& EarlyItems() {
  thread_local ThreadItems items;
  return items;
}
ThreadItems& LateItems() {
  thread_local ThreadItems items;
  return items;
}

TEST_F(LifetimeTest, ThreadLocalsDropTheirRefsWhateverTheOrder) {
  for (int round = 0; round < 20; ++round) {
    test::RunThreads(3, [&](int) {
      ThreadItems& early = EarlyItems();  // constructed before the thread's first use of the engine
      early.heap = heap_.get();
      early.lives = &lives_;
      early.held.push_back(heap_->Make<Item>(lives_, 1));
      ThreadItems& late = LateItems();  // and after it
      late.heap = heap_.get();
      late.lives = &lives_;
      late.held.push_back(heap_->Make<Item>(lives_, 2));
    });
  }
  EXPECT_EQ(lives_.begun(), 240);
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << lives_.now();
}

struct Failure : std::runtime_error {
  explicit Failure(Ref<Item> what_failed)
      : std::runtime_error("failed"), item(std::move(what_failed)) {}
  Ref<Item> item;
};

TEST_F(LifetimeTest, ExceptionsHoldRefs) {
  try {
    try {
      throw Failure(heap_->Make<Item>(lives_, 8));
    } catch (const Failure& failure) {
      EXPECT_EQ(lives_.now(), 1);
      EXPECT_EQ(RefCount(failure.item), 2);
      throw;
    }
  } catch (const std::runtime_error& failure) {
    EXPECT_EQ(dynamic_cast<const Failure&>(failure).item->value, 8);
  }
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(LifetimeTest, ExceptionsCarryRefsToOtherThreads) {
  std::exception_ptr carried;
  std::thread([&] {
    carried = std::make_exception_ptr(Failure(heap_->Make<Item>(lives_, 9)));
  }).join();
  try {
    std::rethrow_exception(carried);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.item->value, 9);
  }
  carried = nullptr;
  EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; }));
}

TEST_F(LifetimeTest, ContainersHoldRefs) {
  const Ref<Item> item = heap_->Make<Item>(lives_, 1);
  {
    std::vector<Ref<Item>> vector;
    std::deque<Ref<Item>> deque;
    std::list<Ref<Item>> list;
    for (int i = 0; i < 1000; ++i) {
      vector.push_back(item);
      deque.push_front(item);
      list.push_back(item);
    }
    vector.erase(vector.begin(), vector.begin() + 500);
    EXPECT_EQ(RefCount(item), 2502);
    const std::vector<Ref<Item>> copy = vector;
    EXPECT_EQ(RefCount(item), 3002);
  }
  const std::optional<Ref<Item>> optional = item;
  const std::variant<int, Ref<Item>> variant = item;
  const std::any any = item;
  const std::function<int()> function = [item] { return item->value; };
  const std::pair<int, Ref<Item>> pair(1, item);
  const auto shared = std::make_shared<Ref<Item>>(item);
  EXPECT_EQ(function(), 1);
  EXPECT_EQ(std::any_cast<const Ref<Item>&>(any)->value, 1);
  EXPECT_EQ(RefCount(item), 8);
}

TEST_F(LifetimeTest, ContainerThatFailsToFillLosesNothing) {
  struct Moody {
    Moody(Ref<Item> held, int number) : item(std::move(held)), code(number) {}
    Moody(const Moody& other) : item(other.item), code(other.code) {
      if (code == 7) throw std::runtime_error("no copies of 7");
    }
    Ref<Item> item;
    int code;
  };
  const Ref<Item> item = heap_->Make<Item>(lives_, 1);
  {
    std::deque<Moody> source;
    for (int i = 0; i < 10; ++i) source.emplace_back(item, i);
    EXPECT_THROW(std::vector<Moody>(source.begin(), source.end()), std::runtime_error);
    EXPECT_EQ(RefCount(item), 12);
  }
  EXPECT_EQ(RefCount(item), 2);
}

TEST_F(LifetimeTest, RefsMovedThroughAChainOfThreadsArriveWhole) {
  std::vector<Ref<Item>> cargo;
  for (int i = 0; i < 1000; ++i) cargo.push_back(heap_->Make<Item>(lives_, i));
  for (int hop = 0; hop < 10; ++hop) {
    std::promise<std::vector<Ref<Item>>> next;
    std::thread([&, moved = std::move(cargo)]() mutable {
      next.set_value(std::move(moved));
    }).join();
    cargo = next.get_future().get();
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(cargo[static_cast<size_t>(i)]->value, i);
    ASSERT_EQ(RefCount(cargo[static_cast<size_t>(i)]), 2);
  }
  cargo.clear();
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(LifetimeTest, HundredsOfThreadsAtOnce) {
  const int count = static_cast<int>(test::Sized(500, 100));
  std::atomic<int> ready{0};
  const Ref<Item> shared = heap_->Make<Item>(lives_, 1);
  test::RunThreads(count, [&](int i) {
    const Ref<Item> own = heap_->Make<Item>(lives_, i);
    const Ref<Item> copy = shared;  // NOLINT(performance-unnecessary-copy-initialization)
    ready.fetch_add(1);
    while (ready.load() < count) std::this_thread::yield();
    ASSERT_EQ(own->value, i);
    ASSERT_GE(RefCount(shared), 3);
  });
  EXPECT_EQ(RefCount(shared), 2);
  EXPECT_EQ(lives_.now(), 1);
}

}  // namespace
}  // namespace reef
