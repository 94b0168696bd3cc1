// Blocks that threads hand round: each is in one hand at a time, and all find their way back.
#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/thread_cache.h"
#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

// Threads hand blocks round: each allocates, and frees what its neighbour has allocated. A mark in
// every block says whether it is in use; at the end all are free, and all are where they should be.
class ExchangeTest : public SpaceTest {
 protected:
  static constexpr int kThreads = 3;
  static constexpr size_t kPlaces = 256;

  static std::atomic<uint64_t>& MarkOf(void* block) {
    return *reinterpret_cast<std::atomic<uint64_t>*>(static_cast<char*>(block) + 64);
  }

  void Work(int self, Slot* slot, size_t steps) {
    const auto me = static_cast<size_t>(self);
    for (size_t step = 0; step < steps; ++step) {
      void* block = Allocate(slot);
      if (MarkOf(block).exchange(1, std::memory_order_relaxed) != 0) ++faults_;
      // The neighbour's block of an earlier round, or null.
      auto& place = places_[(me + step) % kThreads][step * 7 % kPlaces];
      block = place.exchange(block, std::memory_order_acq_rel);
      if (block == nullptr) continue;
      if (MarkOf(block).exchange(0, std::memory_order_relaxed) != 1) ++faults_;
      Free(slot, block);
    }
  }

  void DrainPlaces(Slot* slot) {
    for (auto& list : places_) {
      for (auto& place : list) {
        void* block = place.exchange(nullptr);
        if (block == nullptr) continue;
        if (MarkOf(block).exchange(0) != 1) ++faults_;
        Free(slot, block);
      }
    }
  }

  std::atomic<void*> places_[kThreads][kPlaces] = {};
  std::atomic<int> faults_{0};
};

TEST_F(ExchangeTest, EveryBlockIsInOneHandWhileThreadsExchangeThem) {
  Slot* slots[kThreads];
  for (Slot*& slot : slots) slot = AddSlot();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i, &slots] { Work(i, slots[i], 20'000 * kScale); });
  }
  for (auto& thread : threads) thread.join();
  DrainPlaces(slots[0]);
  EXPECT_EQ(faults_.load(), 0);
  EXPECT_EQ(UsedEverywhere(), 0u);
  // Every block can be had once more, once.
  for (Slot* slot : slots) ReleaseSlabs(slot, space_.get());
  uint64_t carved = 0;
  space_->ForEachSlab([&carved](const Slab& slab) { carved += slab.carved.load(); });
  std::set<void*> blocks;
  const uint64_t committed = space_->committed_bytes();
  for (uint64_t i = 0; i < committed / kSlabBytes * kCapacity; ++i) {
    ASSERT_TRUE(blocks.insert(Allocate(slots[1])).second);
  }
  EXPECT_GE(blocks.size(), carved);
  EXPECT_EQ(space_->committed_bytes(), committed) << "no slab was lost";
}

// The same while the other half of the memory's life goes on beside it.
TEST_F(ExchangeTest, EmptySlabsGoBackWhileThreadsExchangeBlocks) {
  Slot* slots[kThreads];
  for (Slot*& slot : slots) slot = AddSlot();
  std::atomic<int> running{kThreads - 1};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads - 1; ++i) {
    threads.emplace_back([this, i, &slots, &running] {
      for (int round = 0; round < 10; ++round) {
        Work(i, slots[i], 2'000 * kScale);
        DrainPlaces(slots[i]);
      }
      --running;
    });
  }
  // The collector thread's part; what it takes is returned only at the end, as if scopes were open.
  std::vector<SlabBatch> batches;
  while (running.load() != 0) {
    space_->NoteEmpty();
    const SlabBatch batch = TakeEverythingEmpty();
    if (batch.count != 0) batches.push_back(batch);
    std::this_thread::yield();
  }
  for (auto& thread : threads) thread.join();
  for (const SlabBatch& batch : batches) {
    for (Slab* slab = batch.first; slab != nullptr; slab = NextOf(space_->base(), slab)) {
      ASSERT_EQ(Space::UsedBlocks(*slab), 0u) << "taken, so nobody may use it";
    }
    space_->ReturnToSupply(batch);
  }
  DrainPlaces(slots[0]);
  EXPECT_EQ(faults_.load(), 0);
  EXPECT_EQ(UsedEverywhere(), 0u);
  for (Slot* slot : slots) ReleaseSlabs(slot, space_.get());
  space_->NoteEmpty();
  space_->ReturnToSupply(space_->TakeEmpty());
  space_->Purge(true);
  EXPECT_EQ(space_->committed_bytes(), 0u) << "every slab has found its way back";
}

// The owner allocates and takes back while others free into its current slab.
TEST_F(ExchangeTest, RemoteFreesReachTheOwner) {
  constexpr int kFreers = 2;
  Slot* owner = AddSlot();
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < 8 * kCapacity; ++i) blocks.push_back(Allocate(owner));
  Slot* freers[kFreers];
  for (Slot*& slot : freers) slot = AddSlot();
  (void)CacheOf(freers[0], space_.get());  // one takes slabs over, the other lists them
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kFreers; ++i) {
    threads.emplace_back([&, i] {
      for (size_t k = i; k < blocks.size(); k += kFreers) Free(freers[i], blocks[k]);
    });
  }
  std::set<void*> mine;
  for (uint32_t i = 0; i < 4 * kCapacity; ++i) ASSERT_TRUE(mine.insert(Allocate(owner)).second);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(UsedEverywhere(), uint64_t{4} * kCapacity);
  for (void* block : mine) Free(owner, block);
  EXPECT_EQ(UsedEverywhere(), 0u);
}

}  // namespace
}  // namespace reef::memory::test
