#include "lib/memory/limits.h"

#include <algorithm>

#include "lib/memory/space.h"
#include "lib/os/bell.h"
#include "lib/os/fault.h"

namespace reef::memory {

Limits ChooseLimits(const Limits& wanted, const os::CgroupLimits& cgroup) {
  constexpr uint64_t kLeast = uint64_t{1} << 20;
  Limits limits = wanted;
  const auto share = [](uint64_t whole, uint64_t percent) {
    const uint64_t bytes = whole / 100 * percent;
    return bytes < kLeast ? kLeast : bytes;
  };
  if (wanted.hard == 0 && cgroup.max != os::kNoCgroupLimit) limits.hard = share(cgroup.max, 95);
  const uint64_t lower = std::min(cgroup.max, cgroup.high);
  // One that was asked for without a hard one, and lies beyond the implied one, would never act.
  const bool beyond = wanted.hard == 0 && limits.hard != 0 && wanted.soft > limits.hard;
  const bool implied = (wanted.soft == 0 || beyond) && lower != os::kNoCgroupLimit;
  if (implied) limits.soft = share(lower, 80);
  // A soft limit that was not asked for stays below a hard one that was.
  if (wanted.soft == 0 && limits.hard != 0 && limits.soft > limits.hard) limits.soft = 0;
  return limits;
}

bool Space::HasRoom(uint64_t slabs) const {
  const uint64_t now = committed_.load(std::memory_order_relaxed) + slabs;
  return now <= max_slabs_ &&
         now * internal::kSlabBytes + external_.load(std::memory_order_relaxed) <= hard_bytes_;
}

bool Space::Charge(uint64_t slabs) {
  if (os::IsFaultDue()) return false;
  const uint64_t now = committed_.fetch_add(slabs, std::memory_order_seq_cst) + slabs;
  if (now <= max_slabs_ &&
      now * internal::kSlabBytes + external_.load(std::memory_order_seq_cst) <= hard_bytes_) {
    return true;
  }
  Uncharge(slabs);
  return false;
}

bool Space::ChargeExternal(uint64_t bytes) {
  if (bytes > kNoHardLimit || os::IsFaultDue()) return false;
  const uint64_t now = external_.fetch_add(bytes, std::memory_order_seq_cst) + bytes;
  if (now + committed_.load(std::memory_order_seq_cst) * internal::kSlabBytes <= hard_bytes_) {
    os::NoteActivity();  // the pacer should look: it counts as growth
    return true;
  }
  external_.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

bool Space::UnchargeExternal(uint64_t bytes) {
  uint64_t before = external_.load(std::memory_order_relaxed);
  do {
    if (before < bytes) return false;
  } while (!external_.compare_exchange_weak(before, before - bytes, std::memory_order_relaxed));
  return true;
}

bool Space::IsAboveSoftLimit() const {
  return soft_bytes_ != 0 && committed_bytes() + external_bytes() > soft_bytes_;
}

}  // namespace reef::memory
