// The size classes: which block serves which request.
//
// Classes are at most 12.5 % apart: steps of 8 bytes up to 64, then eight per doubling up to half a
// slab. Everything is constexpr, so that a typed allocation knows its class at compile time.
//
// A class also has an alignment. Raw blocks have that of their size. Object payloads have 16 bytes
// where the size is a multiple of 16, else 8; in the slabs for over-aligned types the largest power
// of two, up to 1 KiB, that divides the size, as long as aligning the payloads costs at most one
// block in 32: there, blocks start 16 bytes (the header) before an aligned address.
#ifndef REEF_INTERNAL_SIZE_CLASS_H_
#define REEF_INTERNAL_SIZE_CLASS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "reef/internal/header.h"

namespace reef::internal {

inline constexpr size_t kSlabBytes = size_t{64} << 10;
inline constexpr size_t kSegmentBytes = size_t{4} << 20;
inline constexpr size_t kSlabsPerSegment = kSegmentBytes / kSlabBytes;

inline constexpr int kClasses = 80;
inline constexpr int kNoClass = -1;  // larger than half a slab: served by a run of slabs
inline constexpr size_t kMaxBlock = kSlabBytes / 2;

// raw: bytes without a header; leaf: objects without edges; traced: objects with edges. Types that
// ask for more than 16 bytes of alignment have slabs of their own: there the payloads are aligned,
// and in all others the blocks, so that a header and the fields after it share cache lines.
enum class SlabKind : uint8_t {
  kRaw = 0,
  kLeaf = 1,
  kTraced = 2,
  kAlignedLeaf = 3,
  kAlignedTraced = 4,
};
inline constexpr int kKinds = 5;
constexpr bool IsTraced(SlabKind kind) {
  return kind == SlabKind::kTraced || kind == SlabKind::kAlignedTraced;
}
constexpr bool IsAligned(SlabKind kind) { return kind >= SlabKind::kAlignedLeaf; }
constexpr SlabKind ObjectKind(bool traced, size_t alignment) {
  if (alignment > 16) return traced ? SlabKind::kAlignedTraced : SlabKind::kAlignedLeaf;
  return traced ? SlabKind::kTraced : SlabKind::kLeaf;
}

constexpr size_t ClassBytes(int size_class) {
  if (size_class < 8) return static_cast<size_t>(size_class + 1) * 8;
  const int doubling = (size_class - 8) / 8;
  const int step = (size_class - 8) % 8 + 1;
  const size_t base = size_t{64} << doubling;
  return base + base / 8 * static_cast<size_t>(step);
}

// The smallest class whose blocks hold `bytes`; kNoClass above kMaxBlock.
constexpr int ClassOf(size_t bytes) {
  if (bytes <= 64) return bytes == 0 ? 0 : static_cast<int>((bytes - 1) / 8);
  if (bytes > kMaxBlock) return kNoClass;
  const int doubling = static_cast<int>(std::bit_width(bytes - 1)) - 7;
  const size_t base = size_t{64} << doubling;
  return 8 + doubling * 8 + static_cast<int>((bytes - 1 - base) / (base / 8));
}

// Blocks of a class in one slab when payloads are aligned to `alignment`.
constexpr size_t BlocksPerSlab(size_t bytes, size_t first) { return (kSlabBytes - first) / bytes; }

constexpr size_t FirstOffset(SlabKind kind, size_t alignment) {
  return kind == SlabKind::kRaw ? 0 : alignment - Header::kBytes;
}

constexpr size_t ClassAlignment(SlabKind kind, int size_class) {
  const size_t bytes = ClassBytes(size_class);
  const size_t divisor = bytes & (~bytes + 1);
  if (kind == SlabKind::kRaw) return divisor;
  if (!IsAligned(kind)) return divisor < 16 ? 8 : 16;
  size_t alignment = divisor < 1024 ? divisor : 1024;
  if (alignment < 16) return 8;
  const size_t most = BlocksPerSlab(bytes, 0);
  while (alignment > 16 && most - BlocksPerSlab(bytes, FirstOffset(kind, alignment)) > most / 32) {
    alignment /= 2;
  }
  return alignment;
}

constexpr size_t ClassFirstOffset(SlabKind kind, int size_class) {
  const size_t alignment = ClassAlignment(kind, size_class);
  return alignment < 16 ? 0 : FirstOffset(kind, alignment);
}

// What an allocation of `bytes` payload at `alignment` needs: a class, or a run when none serves.
constexpr int ClassFor(SlabKind kind, size_t bytes, size_t alignment) {
  const size_t header = kind == SlabKind::kRaw ? 0 : Header::kBytes;
  int size_class = ClassOf(bytes + header < 24 && header != 0 ? 24 : bytes + header);
  if (size_class == kNoClass) return kNoClass;
  while (size_class < kClasses && ClassAlignment(kind, size_class) < alignment) ++size_class;
  return size_class < kClasses ? size_class : kNoClass;
}

static_assert(ClassBytes(kClasses - 1) == kMaxBlock);
static_assert(ClassBytes(8) == 72 && ClassOf(65) == 8 && ClassOf(72) == 8 && ClassOf(73) == 9);
static_assert(ClassOf(kMaxBlock) == kClasses - 1 && ClassOf(128) == 15 && ClassOf(129) == 16);

}  // namespace reef::internal

#endif  // REEF_INTERNAL_SIZE_CLASS_H_
