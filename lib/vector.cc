// The buffer behind reef::Vector: a traced object whose edges follow it.
#include "reef/vector.h"

#include <new>

#include "lib/memory/heap_table.h"
#include "reef/internal/check.h"
#include "reef/internal/make.h"

namespace reef::internal {

EdgeBuffer::EdgeBuffer(size_t capacity) noexcept : capacity_(capacity) {
  for (size_t i = 0; i < capacity; ++i) ::new (static_cast<void*>(edges() + i)) Edge;
}

EdgeBuffer::~EdgeBuffer() {
  // The last first, as Vector::clear; the dying worklist keeps this from recursing.
  for (size_t i = capacity_; i-- > 0;) edges()[i].~Edge();
}

void EdgeBuffer::Trace(Visitor& visitor) const {
  for (size_t i = 0; i < capacity_; ++i) visitor.VisitEdge(edges()[i]);
}

EdgeBuffer* EdgeBuffer::Make(const void* near, size_t capacity) {
  HeapCore* core = memory::FindHeap(near);
  REEF_CHECK(core != nullptr, "a reef::Vector outside a managed object was given an element",
             "make it a member of a managed object, or use std::vector<reef::Ref<T>>");
  constexpr size_t kMost = (size_t{1} << 47) / sizeof(Edge);
  if (capacity > kMost) ThrowOutOfMemory(core, capacity);
  const size_t bytes = sizeof(EdgeBuffer) + capacity * sizeof(Edge);
  const int size_class = ClassFor(SlabKind::kTraced, bytes, alignof(EdgeBuffer));
  Slot* slot = CurrentSlot();
  void* block = size_class == kNoClass
                    ? AllocateRun(core, SlabKind::kTraced, bytes, alignof(EdgeBuffer))
                    : AllocateBlock(slot, core, core->index, SlabKind::kTraced, size_class);
  if (block == nullptr) ThrowOutOfMemory(core, bytes);
  auto* header = static_cast<Header*>(block);
  BearHeader(slot, core, header, &TypeOf<EdgeBuffer>::info, true);
  auto* buffer = ::new (header->Payload()) EdgeBuffer(capacity);
  header->SetStage(Stage::kLive);
  return buffer;
}

}  // namespace reef::internal
