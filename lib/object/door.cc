#include "lib/object/door.h"

#include <atomic>

namespace reef::object {
namespace {

constexpr uint64_t kClosed = uint64_t{1} << 63;

// One word, so that its modification order decides between a revival and the close. Acquire and
// release: a closer that finds 0 sees the logs and headers of those who have left; a Lock that
// finds it closed sees the colours that marking has written.
std::atomic<uint64_t> g_door{0};

}  // namespace

bool EnterDoor() {
  uint64_t seen = g_door.load(std::memory_order_acquire);
  while ((seen & kClosed) == 0) {
    if (g_door.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

void LeaveDoor(uint64_t count) { g_door.fetch_sub(count, std::memory_order_acq_rel); }

bool CloseDoor() {
  uint64_t open = 0;
  return g_door.compare_exchange_strong(open, kClosed, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
}

void OpenDoor() { g_door.store(0, std::memory_order_release); }

}  // namespace reef::object
