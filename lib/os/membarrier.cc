#include "lib/os/membarrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "reef/internal/check.h"

namespace reef::os {
namespace {

// Set once before any slot exists (acquire/release through the slot registry's lock); relaxed.
std::atomic<bool> g_available{false};
// The target of the fallback's fence.
std::atomic<int> g_fence{0};

}  // namespace

bool RegisterMembarrier() {
  const char* without = std::getenv("REEF_NO_MEMBARRIER");
  if (without != nullptr && std::strcmp(without, "0") != 0) return false;
  const long result = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
  g_available.store(result == 0, std::memory_order_relaxed);
  return result == 0;
}

void RenewMembarrier() {
  // Should it fail, Membarrier will say so: objects are biased, there is no doing without.
  if (HasMembarrier()) {
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
  }
}

bool HasMembarrier() { return g_available.load(std::memory_order_relaxed); }

void Membarrier() {
  // The caller's own stores (the mode, REVOKING) come before the barrier: a read-modify-write is a
  // full fence on every processor Reef runs on, and the thread sanitizer sees it.
  (void)g_fence.fetch_add(1, std::memory_order_seq_cst);
  if (!HasMembarrier()) return;
  REEF_CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0,
             "membarrier failed after it had been registered",
             "set REEF_NO_MEMBARRIER=1 to run without it");
}

}  // namespace reef::os
