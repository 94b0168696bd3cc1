// Limits: how much a heap may hold. What counts is the memory that its region has taken from the
// system and the external bytes: memory elsewhere that its objects own.
//
// The hard limit is kept exactly: who charges adds first, then reads the other sum, both
// sequentially consistent, so of two that together exceed it one sees the other and takes its
// charge back. Beyond the soft limit nothing fails: collections no longer wait for growth, and free
// memory goes back to the system at once.
#ifndef REEF_LIB_MEMORY_LIMITS_H_
#define REEF_LIB_MEMORY_LIMITS_H_

#include <cstdint>

#include "lib/os/cgroup.h"

namespace reef::memory {

// In bytes; 0: none.
struct Limits {
  uint64_t soft = 0;
  uint64_t hard = 0;
  bool operator==(const Limits&) const = default;
};

// What was asked for, and what the control groups imply where nothing was: a soft limit of 80 % of
// the lower one of their two limits, a hard one of 95 % of the one beyond which the system kills
// (the rest is left for stacks, code and other memory).
Limits ChooseLimits(const Limits& wanted, const os::CgroupLimits& cgroup);

}  // namespace reef::memory

#endif  // REEF_LIB_MEMORY_LIMITS_H_
