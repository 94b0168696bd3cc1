#include "lib/os/pages.h"

#include <sys/mman.h>

#include <cstdint>

#include "lib/os/fault.h"
#include "reef/internal/check.h"

namespace reef::os {

void* Reserve(size_t bytes, size_t alignment) {
  if (IsFaultDue()) return nullptr;
  // Over-reserve by the alignment, then trim: there is no portable aligned mmap.
  const size_t slack = alignment > kPageBytes ? alignment : 0;
  if (bytes + slack < bytes) return nullptr;
  void* raw = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  if (slack == 0) return raw;
  const uintptr_t start = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = (start + alignment - 1) & ~(alignment - 1);
  if (aligned != start) Unmap(raw, aligned - start);
  const uintptr_t end = aligned + bytes;
  const uintptr_t raw_end = start + bytes + slack;
  if (raw_end != end) Unmap(reinterpret_cast<void*>(end), raw_end - end);
  return reinterpret_cast<void*>(aligned);
}

void Unmap(void* base, size_t bytes) { (void)munmap(base, bytes); }

void Decommit(void* base, size_t bytes) {
  REEF_CHECK(madvise(base, bytes, MADV_DONTNEED) == 0, "memory could not be given back",
             "is the region locked (mlock)? Reef needs MADV_DONTNEED on it");
}

void AdviseHuge(void* base, size_t bytes) { (void)madvise(base, bytes, MADV_HUGEPAGE); }
void AdviseSmall(void* base, size_t bytes) { (void)madvise(base, bytes, MADV_NOHUGEPAGE); }

size_t ResidentBytes(const void* base, size_t bytes) {
  constexpr size_t kChunk = size_t{4} << 20;
  unsigned char pages[kChunk / kPageBytes];
  size_t resident = 0;
  for (size_t done = 0; done < bytes; done += kChunk) {
    const size_t part = bytes - done < kChunk ? bytes - done : kChunk;
    void* start = const_cast<char*>(static_cast<const char*>(base)) + done;
    if (mincore(start, part, pages) != 0) continue;
    for (size_t page = 0; page < part / kPageBytes; ++page) {
      if ((pages[page] & 1) != 0) resident += kPageBytes;
    }
  }
  return resident;
}

}  // namespace reef::os
