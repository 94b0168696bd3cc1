#include "lib/collector/hold_up.h"

#include "lib/os/fork.h"

namespace reef::collector {

bool HoldUp::Lasts(os::Nanoseconds now, os::Nanoseconds patience) {
  const uint64_t window = os::CurrentWindow();
  // Relaxed: compared with itself.
  const uint64_t brackets = worker_ == nullptr ? 0 : worker_->seq.load(std::memory_order_relaxed);
  if (window != window_) entered_ = now;
  if (window != window_ || brackets != brackets_) stands_ = now;
  window_ = window;
  brackets_ = brackets;
  return window != 0 && (now - stands_ > patience || now - entered_ > kLongPatience);
}

}  // namespace reef::collector
