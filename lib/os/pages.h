// Pages: reserving addresses, giving memory back, asking what is resident.
//
// Guarantees: Reserve maps readable, writable, untouched memory that costs nothing until used;
// Decommit drops the contents, after which the range reads as zero (stage FREE, invariant I1).
#ifndef REEF_LIB_OS_PAGES_H_
#define REEF_LIB_OS_PAGES_H_

#include <cstddef>

namespace reef::os {

inline constexpr size_t kPageBytes = 4096;

// Maps `bytes` of zero pages at a multiple of `alignment` (a power of two, at least a page). Null
// when the system refuses. No swap space or memory is accounted before use.
void* Reserve(size_t bytes, size_t alignment);
void Unmap(void* base, size_t bytes);

// Gives the memory of whole pages back; the addresses stay readable and read as zero.
void Decommit(void* base, size_t bytes);

// Asks for huge pages on the range; a hint.
void AdviseHuge(void* base, size_t bytes);
// Takes that back. Otherwise the system may fill what Decommit left with memory again, to make a
// huge page of it.
void AdviseSmall(void* base, size_t bytes);

// Bytes of the range that are in memory. One system call per 4 MiB.
size_t ResidentBytes(const void* base, size_t bytes);

}  // namespace reef::os

#endif  // REEF_LIB_OS_PAGES_H_
