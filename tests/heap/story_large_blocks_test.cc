// Blocks of one to eight MiB go back and forth between two threads, each of which frees what the
// other has taken: resident memory follows what is in use. Every few rounds the two meet, and while
// neither has a block in hand the heap may hold no more than twice the live bytes in memory.

#include <array>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Every place holds one block; both threads replace blocks at any place.
template <typename Block>
class Board {
 public:
  static constexpr size_t kPlaces = 8;
  Block Exchange(size_t at, Block block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::swap(block, blocks_[at]);
    return block;
  }

 private:
  std::mutex mutex_;
  std::array<Block, kPlaces> blocks_{};
};

struct Raw {
  char* start = nullptr;
  size_t bytes = 0;
};

// The heap's own: what its records, and the caches of small blocks, take when nothing is live.
constexpr uint64_t kSmall = 2 * kMiB;
constexpr size_t kRoundsPerCheck = 8;

class LargeBlocksStory : public ::testing::Test {
 protected:
  static HeapOptions Options() {
    HeapOptions options;
    options.reserve_bytes = uint64_t{2} << 30;
    options.huge_pages = false;
    return options;
  }
  size_t rounds() const { return test::Sized(200, 64); }
  // By both threads, after each of their rounds: between the second thread's arrival and their
  // leave nothing changes.
  void EndRound(size_t round) {
    if ((round + 1) % kRoundsPerCheck == 0) meeting_.arrive_and_wait();
  }
  void CheckResident() noexcept {
    const HeapStats stats = heap_->Stats();
    const uint64_t live = stats.raw_bytes + stats.live_bytes;
    EXPECT_LE(stats.resident_bytes, 2 * live);
    ++checks_;
  }
  void CheckEnd() {
    EXPECT_EQ(checks_, rounds() / kRoundsPerCheck);
    EXPECT_TRUE(test::WithinASecond([this] { return heap_->Stats().resident_bytes <= kSmall; }))
        << heap_->Stats().resident_bytes;
    const absl::Status state = heap_->Verify();
    EXPECT_TRUE(state.ok()) << state;
  }

  const uint64_t seed_ = test::Seed();
  const std::unique_ptr<Heap> heap_ = test::NewHeap(Options());

 private:
  struct Check {
    LargeBlocksStory* story;
    void operator()() noexcept { story->CheckResident(); }
  };
  size_t checks_ = 0;
  std::barrier<Check> meeting_{2, Check{this}};
};

TEST_F(LargeBlocksStory, RawBlocksFreedByTheOtherThreadStayWithinTwiceTheLive) {
  SCOPED_TRACE(test::SeedNote(seed_));
  Board<Raw> board;
  test::RunThreads(2, [&](int i) {
    std::mt19937_64 random(seed_ + static_cast<uint64_t>(i));
    for (size_t round = 0; round < rounds(); ++round) {
      Raw block;
      block.bytes = kMiB + test::Below(random, 7 * kMiB);
      block.start = static_cast<char*>(heap_->Allocate(block.bytes));
      std::memset(block.start, static_cast<int>(block.bytes % 251), block.bytes);
      block = board.Exchange(test::Below(random, Board<Raw>::kPlaces), block);
      if (block.start != nullptr) {
        EXPECT_EQ(static_cast<unsigned char>(block.start[0]), block.bytes % 251);
        EXPECT_EQ(static_cast<unsigned char>(block.start[block.bytes - 1]), block.bytes % 251);
        heap_->Deallocate(block.start);
      }
      EndRound(round);
    }
  });
  for (size_t i = 0; i < Board<Raw>::kPlaces; ++i) heap_->Deallocate(board.Exchange(i, {}).start);
  EXPECT_EQ(heap_->Stats().raw_blocks, 0u);
  CheckEnd();
}

struct Large {
  static constexpr size_t kBytes = 3 * kMiB;
  explicit Large(test::Lives& lives) : life(lives) { std::memset(bytes, 0x5a, kBytes); }
  ~Large() {
    if (bytes[0] == 0x5a && bytes[kBytes - 1] == 0x5a) return;
    ADD_FAILURE() << "a large object is damaged";
  }
  test::Life life;
  unsigned char bytes[kBytes];
};

TEST_F(LargeBlocksStory, LargeObjectsDroppedByTheOtherThreadStayWithinTwiceTheLive) {
  SCOPED_TRACE(test::SeedNote(seed_));
  test::Lives lives;
  Board<Ref<Large>> board;
  test::RunThreads(2, [&](int i) {
    std::mt19937_64 random(seed_ + static_cast<uint64_t>(i));
    for (size_t round = 0; round < rounds(); ++round) {
      Ref<Large> large = heap_->Make<Large>(lives);
      if (round % 2 == 0) large = std::move(large).Share();
      large = board.Exchange(test::Below(random, Board<Raw>::kPlaces), std::move(large));
      large.Reset();
      EndRound(round);
    }
  });
  for (size_t i = 0; i < Board<Raw>::kPlaces; ++i) board.Exchange(i, nullptr).Reset();
  (void)heap_->Collect();
  EXPECT_EQ(lives.now(), 0);
  CheckEnd();
}

}  // namespace
}  // namespace reef
