#include "lib/collector/marker.h"

#include <algorithm>

#include "lib/object/hidden_edge.h"
#include "lib/os/chaos.h"
#include "reef/internal/marked_word.h"
#include "reef/internal/slab.h"
#include "reef/internal/type_info.h"

namespace reef::collector {

using internal::Stage;
using threads::kHazardBatch;

Marker::Marker(const memory::Space& space, uint8_t black, int index, Poll poll)
    : space_(space),
      base_(reinterpret_cast<uintptr_t>(space.base())),
      bytes_(space.reserved_bytes()),
      black_(black),
      poll_(poll),
      hazards_(threads::HazardsOf(index)) {}

bool Marker::IsWhiteHere(const Header* header) const {
  if (reinterpret_cast<uintptr_t>(header) - base_ >= bytes_) return false;
  const uint8_t colour = header->Colour();
  return colour != black_ && !internal::IsAlwaysBlack(colour);
}

bool Marker::PushIfWhite(Header* header) {
  if (!IsWhiteHere(header)) return false;
  stack_.Push(header);
  return true;
}

void Marker::AddFrozen(Header* header) {
  frozen_[frozen_count_++] = header;
  if (frozen_count_ == kHazardBatch) FlushFrozen();
}

void Marker::FlushFrozen() {
  if (frozen_count_ == 0) return;
  hazards_.Publish(frozen_, frozen_count_);
  REEF_CHAOS_POINT("frozen objects published, stages not yet read");
  for (int i = 0; i < frozen_count_; ++i) TraceObject(frozen_[i]);
  hazards_.Clear();
  frozen_count_ = 0;
}

void Marker::Run(MarkPool* pool) {
  for (;;) {
    Drain(pool);
    if (pool == nullptr) return;
    MarkChunk* chunk = pool->TakeOrFinish();
    if (chunk == nullptr) return;
    stack_.Adopt(chunk);
  }
}

void Marker::Drain(MarkPool* pool) {
  constexpr uint32_t kBatchesPerPoll = 64;
  Header* current[kHazardBatch];
  Header* ahead[kHazardBatch];
  int current_count = stack_.Pop(current, kHazardBatch);
  while (current_count != 0) {
    // What comes next is fetched from memory while this batch is traced.
    int ahead_count = stack_.Pop(ahead, kHazardBatch);
    for (int i = 0; i < ahead_count; ++i) __builtin_prefetch(ahead[i], 1);
    TraceBatch(current, current_count);
    if (ahead_count == 0) ahead_count = stack_.Pop(ahead, kHazardBatch);
    std::copy(ahead, ahead + ahead_count, current);
    current_count = ahead_count;
    if (++batches_ % kBatchesPerPoll == 0) {
      if (pool != nullptr && pool->Hungry()) stack_.ShareWith(*pool);
      if (poll_ != nullptr) poll_();
    }
  }
}

void Marker::TraceBatch(Header* const* objects, int count) {
  Header* white[kHazardBatch] = {};
  int white_count = 0;
  for (int i = 0; i < count; ++i) {
    if (!IsWhiteHere(objects[i])) continue;
    objects[i]->SetColour(black_);
    white[white_count++] = objects[i];
  }
  hazards_.Publish(white, white_count);
  REEF_CHAOS_POINT("hazards published, stages not yet read");
  for (int i = 0; i < white_count; ++i) TraceObject(white[i]);
  hazards_.Clear();
  marked_ += static_cast<uint64_t>(white_count);
}

void Marker::TraceObject(Header* header) {
  switch (header->GetStageSequential()) {
    case Stage::kFree:
      return;
    case Stage::kLive:
    case Stage::kDying:
      internal::TypeInfoOf(header)->trace(header->Payload(), stack_);
      break;
    case Stage::kBuilding:
    case Stage::kDestroying:
      conservative_ = true;
      ScanPayload(header);
      break;
  }
  object::VisitHiddenEdge(header, stack_);
}

// Reads memory that a constructor or destructor may be writing: not instrumented. A torn or stale
// word at worst keeps an object for one collection; edges are written by single stores. Any word
// may be a marked edge's: with the mark taken off it names the target, and no plain edge is missed
// by that, because the lowest bits of its word are zero.
__attribute__((no_sanitize("thread", "address"))) void Marker::ScanPayload(Header* header) {
  const auto* words = static_cast<const uintptr_t*>(header->Payload());
  const size_t bytes = internal::SlabOf(header)->block_bytes - Header::kBytes;
  for (size_t i = 0; i < bytes / sizeof(uintptr_t); ++i) {
    const uintptr_t word = __atomic_load_n(words + i, __ATOMIC_ACQUIRE) & ~internal::kMarkBits;
    if (word - base_ >= bytes_) continue;
    auto* found = reinterpret_cast<Header*>(word - Header::kBytes);
    // Of a traced kind: in a slab of leaves a block that was never used has no leaf's colour yet.
    // It would be coloured, perhaps after a thread has made a leaf of it, which then is no leaf to
    // us.
    if (space_.IsBlock(word - Header::kBytes) &&
        internal::IsTraced(internal::SlabOf(found)->kind)) {
      stack_.Push(found);
    }
  }
}

}  // namespace reef::collector
