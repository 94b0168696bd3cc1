// An owner sleeps, blocked outside the engine, while another thread drops all that it has made: the
// owner need not wake up for its objects to die.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Item {
  explicit Item(test::Lives& lives) : life(lives) {}
  test::Life life;
};

struct Node {
  explicit Node(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  test::Life life;
  Member<Node> next;
};

// A thread that does one thing, then sleeps on a condition variable until it is destroyed.
class Sleeper {
 public:
  template <typename Task>
  explicit Sleeper(Task task)
      : thread_([this, task] {
          task();
          std::unique_lock<std::mutex> lock(mutex_);
          asleep_ = true;
          changed_.notify_all();
          changed_.wait(lock, [this] { return awake_; });
        }) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return asleep_; });
  }
  ~Sleeper() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      awake_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asleep_ = false;
  bool awake_ = false;
  std::thread thread_;  // the last member: it uses the others
};

// A second where code runs at its real speed.
constexpr std::chrono::milliseconds kSoon(test::kSlowBuild ? 20'000 : 1000);

class SleepingOwnerStory : public test::QuietHeapTest {};

TEST_F(SleepingOwnerStory, MillionObjectsDroppedElsewhereAreGoneWithinASecond) {
  const size_t count = test::Sized(1'000'000, 50'000);
  std::vector<Ref<Item>> items(count);
  const Sleeper owner([&] {
    for (Ref<Item>& item : items) item = heap_->Make<Item>(lives_);
  });
  EXPECT_EQ(lives_.now(), static_cast<int64_t>(count));
  items.clear();
  EXPECT_TRUE(test::Eventually([&] { return lives_.now() == 0; }, kSoon)) << lives_.now();
}

TEST_F(SleepingOwnerStory, ListDroppedElsewhereIsGoneWithinASecond) {
  const size_t count = test::Sized(200'000, 10'000);
  Ref<Node> head;
  const Sleeper owner([&] {
    for (size_t i = 0; i < count; ++i) {
      Ref<Node> node = heap_->Make<Node>(lives_);
      node->next = std::move(head);
      head = std::move(node);
    }
  });
  head.Reset();
  EXPECT_TRUE(test::Eventually([&] { return lives_.now() == 0; }, kSoon)) << lives_.now();
}

TEST_F(SleepingOwnerStory, CyclesDroppedElsewhereAreGoneAfterACollection) {
  const size_t count = test::Sized(200'000, 10'000);
  std::vector<Ref<Node>> nodes(count);
  const Sleeper owner([&] {
    for (Ref<Node>& node : nodes) {
      node = heap_->Make<Node>(lives_);
      node->next = heap_->Make<Node>(lives_);
      node->next->next = node;
    }
  });
  EXPECT_EQ(lives_.now(), static_cast<int64_t>(2 * count));
  nodes.clear();
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_EQ(report.objects, 2 * count);
}

TEST_F(SleepingOwnerStory, MemoryOfItsObjectsServesOthers) {
  const size_t count = test::Sized(300'000, 30'000);
  std::vector<Ref<Item>> items(count);
  const Sleeper owner([&] {
    for (Ref<Item>& item : items) item = heap_->Make<Item>(lives_);
  });
  const uint64_t peak = heap_->Stats().committed_bytes;
  for (int round = 0; round < 5; ++round) {
    items.clear();
    ASSERT_TRUE(test::Eventually([&] { return lives_.now() == 0; })) << lives_.now();
    items.resize(count);
    for (Ref<Item>& item : items) item = heap_->Make<Item>(lives_);
  }
  // Emptied slabs may be on their way back while new ones are taken.
  EXPECT_LE(heap_->Stats().committed_bytes, 2 * peak + (uint64_t{2} << 20));
}

// What it keeps of every class is emptied by others: its current slab of a class stays, no more.
TEST_F(SleepingOwnerStory, SlabsThatItKeptAreGivenBack) {
  constexpr size_t kSlab = size_t{64} << 10;
  constexpr size_t kSizes[] = {64, 256, 1024, 4096};
  std::vector<void*> blocks;
  const Sleeper owner([&] {
    for (const size_t size : kSizes) {
      const size_t count = 16 * kSlab / size;
      std::vector<void*> mine;
      for (size_t i = 0; i < count; ++i) mine.push_back(heap_->Allocate(size));
      // One block of each slab goes back, so that it keeps as many as it may.
      for (size_t i = 0; i < count; ++i) {
        if (i % (kSlab / size) == 0) {
          heap_->Deallocate(mine[i]);
        } else {
          blocks.push_back(mine[i]);
        }
      }
    }
  });
  for (void* block : blocks) heap_->Deallocate(block);
  EXPECT_TRUE(test::Eventually(
      [&] { return heap_->Stats().committed_bytes <= std::size(kSizes) * kSlab; }, kSoon))
      << heap_->Stats().committed_bytes;
  EXPECT_TRUE(heap_->Verify().ok()) << heap_->Verify();
}

}  // namespace
}  // namespace reef
