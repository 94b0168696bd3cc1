// The region and what does not belong to one list of it: creation, look-ups, figures.
#include "lib/memory/space.h"

#include <new>

#include "lib/os/bell.h"
#include "lib/os/fault.h"
#include "lib/os/pages.h"

namespace reef::internal {

Slab g_empty_slab;

constinit ThreadCache g_empty_cache;

}  // namespace reef::internal

namespace reef::memory {

using internal::kSegmentBytes;
using internal::kSlabBytes;

std::unique_ptr<Space> Space::Create(HeapCore* core, const SpaceOptions& options) {
  if (os::IsFaultDue()) return nullptr;
  std::unique_ptr<Space> space(new (std::nothrow) Space(core));
  if (space == nullptr || !space->Initialise(options)) return nullptr;
  return space;
}

bool Space::Initialise(const SpaceOptions& options) {
  constexpr uint64_t kLeast = uint64_t{64} << 20;
  uint64_t bytes = (options.reserve_bytes + kSegmentBytes - 1) / kSegmentBytes * kSegmentBytes;
  if (bytes < kLeast) bytes = kLeast;
  const auto half = [](uint64_t whole) { return whole / 2 / kSegmentBytes * kSegmentBytes; };
  const uint64_t wanted = bytes;
  for (; bytes >= kLeast; bytes = half(bytes)) {
    base_ = static_cast<char*>(os::Reserve(bytes, kSegmentBytes));
    if (base_ != nullptr) break;
  }
  // Where the system limits addresses (ulimit -v, strict overcommit), half of what can be had: the
  // process needs addresses for stacks and other memory, too.
  if (base_ != nullptr && bytes < wanted && half(bytes) >= kLeast) {
    os::Unmap(base_, bytes);
    bytes = half(bytes);
    base_ = static_cast<char*>(os::Reserve(bytes, kSegmentBytes));
  }
  if (base_ == nullptr) return false;
  segments_ = static_cast<uint32_t>(bytes / kSegmentBytes);

  const size_t words = (segments_ + 63) / 64;
  const size_t per_segment = 4 * sizeof(uint64_t) + sizeof(SegmentUse);
  table_bytes_ = 2 * words * sizeof(uint64_t) + segments_ * per_segment;
  table_bytes_ = (table_bytes_ + os::kPageBytes - 1) / os::kPageBytes * os::kPageBytes;
  tables_ = os::Reserve(table_bytes_, os::kPageBytes);
  if (tables_ == nullptr) return false;
  // Zero pages are valid arrays of these types (lock-free atomics of integers).
  free_ = static_cast<Word*>(tables_);
  dirty_ = free_ + segments_;
  aged_ = reinterpret_cast<uint64_t*>(dirty_ + segments_);
  kept_empty_ = reinterpret_cast<Word*>(aged_ + segments_);
  summary_ = kept_empty_ + segments_;
  unused_ = summary_ + words;
  use_ = reinterpret_cast<std::atomic<SegmentUse>*>(unused_ + words);
  for (uint32_t i = 0; i < segments_; ++i) {
    unused_[i / 64].fetch_or(uint64_t{1} << (i % 64), std::memory_order_relaxed);
  }

  max_slabs_ = reserved_bytes() / kSlabBytes;
  if (options.max_bytes != 0 && options.max_bytes / kSlabBytes < max_slabs_) {
    max_slabs_ = options.max_bytes / kSlabBytes;
  }
  if (options.max_bytes != 0 && options.max_bytes < kNoHardLimit) hard_bytes_ = options.max_bytes;
  soft_bytes_ = options.soft_bytes;
  huge_pages_ = options.huge_pages;
  core_->space = this;
  core_->base.store(reinterpret_cast<uintptr_t>(base_), std::memory_order_relaxed);
  core_->bytes.store(reserved_bytes(), std::memory_order_release);
  return true;
}

Space::~Space() {
  if (base_ != nullptr) ForEachSlab([](Slab& slab) { DropWeakTable(&slab); });
  if (base_ != nullptr) os::Unmap(base_, reserved_bytes());
  if (tables_ != nullptr) os::Unmap(tables_, table_bytes_);
}

void Space::DropWeakTable(Slab* slab) {
  // All objects of the slab are dead, so all of its places are empty. Relaxed: as the whole layout.
  delete[] slab->weak_cells.exchange(nullptr, std::memory_order_relaxed);
  ::operator delete(
      static_cast<void*>(slab->hidden_edges.exchange(nullptr, std::memory_order_relaxed)));
}

void Space::NoteEmpty() {
  empty_hint_.store(true, std::memory_order_seq_cst);
  os::NoteActivity();
}

void Space::NoteKeptEmpty(const Slab* slab) {
  const uint32_t place = NumberOf(base_, slab) - 1;
  kept_empty_[place / internal::kSlabsPerSegment].fetch_or(
      uint64_t{1} << place % internal::kSlabsPerSegment, std::memory_order_relaxed);
  NoteEmpty();
}

uint64_t Space::UsedBlocks(const Slab& slab) {
  uint64_t used = slab.used.load(std::memory_order_relaxed) & (internal::kPinned - 1);
  const uint64_t remote = internal::RemoteCount(slab.remote.load(std::memory_order_relaxed));
  return used > remote ? used - remote : 0;
}

uint64_t Space::ResidentBytes() const {
  uint64_t bytes = 0;
  const uint32_t segments = high_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < segments; ++i) {
    if (use_[i].load(std::memory_order_acquire) == SegmentUse::kUnused) continue;
    bytes += os::ResidentBytes(SegmentAt(i), kSegmentBytes);
  }
  return bytes;
}

bool Space::IsObject(uintptr_t address) const {
  return IsBlock(address) &&
         internal::SlabOf(reinterpret_cast<void*>(address))->kind != SlabKind::kRaw;
}

const Slab* Space::SlabAround(uintptr_t address) const {
  const uintptr_t offset = address - reinterpret_cast<uintptr_t>(base_);
  if (offset >= reserved_bytes()) return nullptr;
  const auto index = static_cast<uint32_t>(offset / kSegmentBytes);
  const auto use = use_[index].load(std::memory_order_acquire);
  if (use != SegmentUse::kSlabs && use != SegmentUse::kHugeHead) return nullptr;
  const size_t position = offset % kSegmentBytes / kSlabBytes;
  if (position == 0) return nullptr;
  if (use == SegmentUse::kHugeHead && position != 1) return nullptr;
  const Slab& slab = SegmentAt(index)->slabs[position];
  return slab.formatted.load(std::memory_order_acquire) ? &slab : nullptr;
}

bool Space::IsBlock(uintptr_t address) const {
  const Slab* slab = SlabAround(address);
  if (slab == nullptr) return false;
  const size_t within = address % kSlabBytes;
  if (within < slab->first) return false;
  const size_t from_first = within - slab->first;
  if (slab->run_slabs != 0) return from_first == 0;
  return from_first % slab->block_bytes == 0 &&
         from_first / slab->block_bytes < slab->carved.load(std::memory_order_acquire);
}

}  // namespace reef::memory
