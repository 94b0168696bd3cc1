#include "lib/collector/mark_stack.h"

#include <algorithm>
#include <new>

#include "lib/os/clock.h"
#include "lib/os/pages.h"

namespace reef::collector {
namespace {

constexpr size_t kChunkBytes =
    (sizeof(MarkChunk) + os::kPageBytes - 1) / os::kPageBytes * os::kPageBytes;

MarkChunk* NewMarkChunk() {
  void* memory = os::Reserve(kChunkBytes, os::kPageBytes);
  return memory == nullptr ? nullptr : new (memory) MarkChunk;
}

}  // namespace

void FreeMarkChunk(MarkChunk* chunk) { os::Unmap(chunk, kChunkBytes); }

MarkPool::~MarkPool() {
  while (MarkChunk* chunk = TryTake()) FreeMarkChunk(chunk);
}

void MarkPool::Give(MarkChunk* chunk) {
  const std::lock_guard<std::mutex> lock(mutex_);
  chunk->below = chunks_;
  chunks_ = chunk;
}

MarkChunk* MarkPool::TryTake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  MarkChunk* chunk = chunks_;
  if (chunk != nullptr) chunks_ = chunk->below;
  return chunk;
}

MarkChunk* MarkPool::TakeOrFinish() {
  if (MarkChunk* chunk = TryTake()) return chunk;
  active_.fetch_sub(1, std::memory_order_seq_cst);
  hungry_.fetch_add(1, std::memory_order_relaxed);
  os::Backoff backoff;
  MarkChunk* chunk = nullptr;
  for (;;) {
    // Active again before the chunk is taken, so that nobody leaves while it is in our hands.
    active_.fetch_add(1, std::memory_order_seq_cst);
    chunk = TryTake();
    if (chunk != nullptr) break;
    if (active_.fetch_sub(1, std::memory_order_seq_cst) == 1) break;
    backoff.Pause();
  }
  hungry_.fetch_sub(1, std::memory_order_relaxed);
  return chunk;
}

MarkStack::MarkStack() : Visitor(nullptr, nullptr, &MarkStack::Flush), top_(&first_) {
  next_ = first_.entries;
  end_ = first_.entries + MarkChunk::kEntries;
}

MarkStack::~MarkStack() {
  while (Shrink()) {
  }
  if (spare_ != nullptr) FreeMarkChunk(spare_);
}

void MarkStack::Grow() {
  MarkChunk* chunk = spare_ != nullptr ? spare_ : NewMarkChunk();
  spare_ = nullptr;
  if (chunk == nullptr) {
    failed_ = true;
    next_ = top_->entries;  // what was here is lost: the collection is aborted
    return;
  }
  top_->used_end = next_;
  chunk->below = top_;
  top_ = chunk;
  next_ = chunk->entries;
  end_ = chunk->entries + MarkChunk::kEntries;
}

bool MarkStack::Shrink() {
  if (top_->below == nullptr) return false;
  MarkChunk* empty = top_;
  top_ = top_->below;
  next_ = top_->used_end;
  end_ = top_->entries + MarkChunk::kEntries;
  if (spare_ != nullptr) FreeMarkChunk(spare_);
  spare_ = empty;
  return true;
}

int MarkStack::Pop(Header** out, int most) {
  if (next_ == top_->entries && !Shrink()) return 0;
  const int count = static_cast<int>(std::min<ptrdiff_t>(most, next_ - top_->entries));
  next_ -= count;
  std::copy(next_, next_ + count, out);
  return count;
}

void MarkStack::ShareWith(MarkPool& pool) {
  MarkChunk* below = top_->below;
  // The embedded first chunk stays; it is too small a loss to copy.
  if (below == nullptr || below == &first_) return;
  top_->below = below->below;
  pool.Give(below);
}

void MarkStack::Adopt(MarkChunk* chunk) {
  top_->used_end = next_;
  chunk->below = top_;
  top_ = chunk;
  next_ = chunk->used_end;
  end_ = chunk->entries + MarkChunk::kEntries;
}

}  // namespace reef::collector
