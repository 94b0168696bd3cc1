// A thread that only frees: everything comes to it through a queue from threads that only allocate.
// The blocks find their way back to those who need them, and memory stays bounded.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
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

// A bounded queue of batches; a full one makes the producers wait.
template <typename Item>
class Channel {
 public:
  void Push(std::vector<Item> batch) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return batches_.size() < kMost; });
    batches_.push_back(std::move(batch));
    changed_.notify_all();
  }
  // False when all has been taken after Close.
  bool Pop(std::vector<Item>* batch) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !batches_.empty(); });
    if (batches_.empty()) return false;
    *batch = std::move(batches_.front());
    batches_.pop_front();
    changed_.notify_all();
    return true;
  }
  void Close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  static constexpr size_t kMost = 16;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<Item>> batches_;
  bool closed_ = false;
};

struct Leaf {
  explicit Leaf(test::Lives& lives) : life(lives) {}
  test::Life life;
  uint64_t payload[4] = {};
};
struct Node {
  explicit Node(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, leaf); }
  test::Life life;
  Member<Node> next;
  Member<Leaf> leaf;
};

constexpr uint64_t kMiB = uint64_t{1} << 20;

class FreeingThreadStory : public test::QuietHeapTest {
 protected:
  // Two threads make batches, one frees them. Returns the most memory that was ever in use.
  template <typename Item, typename Make, typename Free>
  uint64_t Flow(size_t batches, Make make, Free free) {
    Channel<Item> channel;
    uint64_t most = 0;
    std::thread freeing([&] {
      std::vector<Item> batch;
      for (size_t count = 0; channel.Pop(&batch); ++count) {
        for (Item& item : batch) free(item);
        batch.clear();
        if (count % 64 == 0) most = std::max(most, heap_->Stats().committed_bytes);
      }
    });
    test::RunThreads(2, [&](int) {
      for (size_t i = 0; i < batches; ++i) {
        std::vector<Item> batch;
        for (size_t j = 0; j < 256; ++j) batch.push_back(make());
        channel.Push(std::move(batch));
      }
    });
    channel.Close();
    freeing.join();
    return most;
  }
};

TEST_F(FreeingThreadStory, LeavesThatDieElsewhereKeepMemoryBounded) {
  const uint64_t most = Flow<Ref<Leaf>>(
      test::Sized(4000, 300), [this] { return heap_->Make<Leaf>(lives_); },
      [](Ref<Leaf>& leaf) { leaf.Reset(); });
  EXPECT_LE(most, 16 * kMiB);
  EXPECT_EQ(lives_.begun(), static_cast<int64_t>(2 * 256 * test::Sized(4000, 300)));
}

TEST_F(FreeingThreadStory, GraphsThatDieElsewhereKeepMemoryBounded) {
  const uint64_t most = Flow<Ref<Node>>(
      test::Sized(2000, 200),
      [this] {
        Ref<Node> node = heap_->Make<Node>(lives_);
        node->next = heap_->Make<Node>(lives_);
        node->next->leaf = heap_->Make<Leaf>(lives_);
        return std::move(node).Share();
      },
      [](Ref<Node>& node) { node.Reset(); });
  EXPECT_LE(most, 24 * kMiB);
}

TEST_F(FreeingThreadStory, RawBlocksFreedElsewhereKeepMemoryBounded) {
  const uint64_t most = Flow<void*>(
      test::Sized(4000, 300), [this] { return heap_->Allocate(48); },
      [this](void* block) { heap_->Deallocate(block); });
  EXPECT_LE(most, 16 * kMiB);
  EXPECT_EQ(heap_->Stats().raw_blocks, 0u);
}

}  // namespace
}  // namespace reef
