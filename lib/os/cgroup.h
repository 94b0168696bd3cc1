// Cgroup: how much memory the control groups of this process leave it.
//
// Reads /proc/self/cgroup, then the limits of the process's group and of every group above it, of
// version 2 (memory.max, memory.high) and of version 1 (memory.limit_in_bytes). Whatever is
// missing, cannot be read, or says nothing sensible counts as no limit. Where the group's path is
// another namespace's, the groups that the mount shows count.
#ifndef REEF_LIB_OS_CGROUP_H_
#define REEF_LIB_OS_CGROUP_H_

#include <cstdint>
#include <string>

namespace reef::os {

inline constexpr uint64_t kNoCgroupLimit = ~uint64_t{0};

struct CgroupLimits {
  uint64_t max = kNoCgroupLimit;   // beyond it the system kills
  uint64_t high = kNoCgroupLimit;  // beyond it the system slows down and reclaims
  bool operator==(const CgroupLimits&) const = default;
};

// In front of all paths: for tests on made-up trees. Constant while heaps are made.
inline constinit const char* g_cgroup_root = "";

CgroupLimits ReadCgroupLimits(const std::string& root = g_cgroup_root);

}  // namespace reef::os

#endif  // REEF_LIB_OS_CGROUP_H_
