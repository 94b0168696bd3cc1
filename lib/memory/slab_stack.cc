#include "lib/memory/slab_stack.h"

namespace reef::memory {
namespace {

using internal::kSegmentBytes;
using internal::kSlabsPerSegment;
using internal::Segment;
using internal::SegmentOf;

constexpr uint64_t kTag = uint64_t{1} << 32;
constexpr uint64_t kTagMask = ~(kTag - 1);

}  // namespace

uint32_t NumberOf(const char* base, const Slab* slab) {
  const Segment* segment = SegmentOf(slab);
  const auto offset = static_cast<size_t>(reinterpret_cast<const char*>(segment) - base);
  const auto position = static_cast<size_t>(slab - segment->slabs);
  return static_cast<uint32_t>(offset / kSegmentBytes * kSlabsPerSegment + position + 1);
}

Slab* SlabOfNumber(char* base, uint32_t number) {
  if (number == 0) return nullptr;
  const size_t place = number - 1;
  auto* segment = reinterpret_cast<Segment*>(base + place / kSlabsPerSegment * kSegmentBytes);
  return &segment->slabs[place % kSlabsPerSegment];
}

void SlabStack::Push(char* base, Slab* slab) {
  const uint32_t number = NumberOf(base, slab);
  uint64_t head = head_.load(std::memory_order_relaxed);
  do {
    slab->next.store(static_cast<uint32_t>(head), std::memory_order_relaxed);
  } while (!head_.compare_exchange_weak(head, ((head & kTagMask) + kTag) | number,
                                        std::memory_order_release, std::memory_order_relaxed));
}

Slab* SlabStack::Pop(char* base) {
  uint64_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    Slab* slab = SlabOfNumber(base, static_cast<uint32_t>(head));
    if (slab == nullptr) return nullptr;
    // May be stale if another thread pops first; then the tag differs and the exchange fails.
    const uint32_t next = slab->next.load(std::memory_order_relaxed);
    if (head_.compare_exchange_weak(head, ((head & kTagMask) + kTag) | next,
                                    std::memory_order_acquire, std::memory_order_acquire)) {
      return slab;
    }
  }
}

const Slab* SlabStack::First(char* base) const {
  return SlabOfNumber(base, static_cast<uint32_t>(head_.load(std::memory_order_acquire)));
}

Slab* SlabStack::PopAll(char* base) {
  uint64_t head = head_.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(head) != 0) {
    if (head_.compare_exchange_weak(head, (head & kTagMask) + kTag, std::memory_order_acquire,
                                    std::memory_order_acquire)) {
      return SlabOfNumber(base, static_cast<uint32_t>(head));
    }
  }
  return nullptr;
}

}  // namespace reef::memory
