// What the memory suites share: a space that no heap stands behind, threads that are only slots,
// and how big a test may be in this build.
#ifndef REEF_TESTS_MEMORY_SUPPORT_H_
#define REEF_TESTS_MEMORY_SUPPORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/heap_table.h"
#include "lib/memory/space.h"
#include "lib/memory/thread_cache.h"
#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/poison.h"
#include "reef/internal/size_class.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::memory::test {

using internal::Header;
using internal::kSegmentBytes;
using internal::kSlabBytes;
using internal::kSlabsPerSegment;

#if defined(__SANITIZE_THREAD__) || REEF_POISONS || REEF_IS_CHECKED
inline constexpr size_t kScale = 1;
#else
inline constexpr size_t kScale = 8;
#endif

inline constexpr uint64_t kUsableSlabs = kSlabsPerSegment - 1;

// A slot that belongs to no thread: the suites play the threads themselves.
inline std::unique_ptr<Slot> NewSlot(uint32_t index) {
  auto slot = std::make_unique<Slot>();
  slot->index = index;
  slot->slab_owner = index + 1;
  return slot;
}

// A space of 64 MiB of addresses, entered in the heap table, and what it takes to use it.
class SpaceTest : public testing::Test {
 protected:
  static constexpr int kClass = internal::ClassOf(128);
  static constexpr uint32_t kCapacity = kSlabBytes / 128;
  static constexpr uint32_t kPerPage = 4096 / 128;

  SpaceTest() { Open({.reserve_bytes = uint64_t{64} << 20}); }
  ~SpaceTest() override { Close(); }

  void Open(const SpaceOptions& options) {
    Close();
    core_ = std::make_unique<HeapCore>();
    if (EnterHeap(core_.get()) == 0) ADD_FAILURE() << "the heap table is full";
    space_ = Space::Create(core_.get(), options);
    if (space_ == nullptr) ADD_FAILURE() << "no addresses for a space";
  }
  void Close() {
    if (space_ == nullptr) return;
    for (auto& slot : slots_) DropCache(slot.get(), space_.get());
    slots_.clear();
    RemoveHeap(core_.get());
    space_.reset();
  }

  Slot* AddSlot() {
    slots_.push_back(NewSlot(static_cast<uint32_t>(slots_.size())));
    return slots_.back().get();
  }
  void* Allocate(Slot* slot, SlabKind kind = SlabKind::kRaw, int size_class = kClass) {
    void* block = internal::PopBlock(slot->caches[core_->index], kind, size_class);
    return block != nullptr ? block : Refill(slot, space_.get(), kind, size_class);
  }
  static void Free(Slot* slot, void* block) {
    if (internal::SlabOf(block)->kind == SlabKind::kRaw) {
      internal::FreeBlock<false>(slot, slot->slab_owner, block);
    } else {
      internal::FreeBlock<true>(slot, slot->slab_owner, block);
    }
  }

  // What the collector thread takes: listed and kept slabs.
  SlabBatch TakeEverythingEmpty() {
    static const std::vector<std::unique_ptr<Slot>>* slots = nullptr;
    slots = &slots_;
    SlabBatch batch = space_->TakeEmpty();
    space_->TakeKeptEmpty(&batch, [](uint32_t owner, uint32_t heap) {
      return std::atomic_ref<ThreadCache*>((*slots)[owner - 1]->caches[heap]).load();
    });
    return batch;
  }

  // All blocks of one slab, which then is full and nobody's: the slot has gone on to another one.
  std::vector<void*> FillSlab(Slot* slot) {
    std::vector<void*> blocks;
    for (uint32_t i = 0; i < kCapacity; ++i) blocks.push_back(Allocate(slot));
    extra_.push_back(Allocate(slot));
    return blocks;
  }

  uint64_t UsedEverywhere() const {
    uint64_t used = 0;
    space_->ForEachSlab([&used](const Slab& slab) { used += Space::UsedBlocks(slab); });
    return used;
  }

  std::unique_ptr<HeapCore> core_;
  std::unique_ptr<Space> space_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<void*> extra_;  // by FillSlab: the first block of the slab after
};

}  // namespace reef::memory::test

#endif  // REEF_TESTS_MEMORY_SUPPORT_H_
