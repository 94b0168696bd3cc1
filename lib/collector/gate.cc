#include "lib/collector/gate.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "lib/os/bell.h"
#include "lib/os/condition.h"
#include "lib/os/fork.h"

namespace reef::collector {
namespace {

// Relaxed: a look that comes too early or too late is followed by another, since the bell rings
// after a change; what depends on it is decided under the mutex.
std::atomic<bool> g_driven{false};

struct State {
  std::mutex mutex;
  os::Condition changed;
  int holders = 0;
  bool stopped = false;    // for good
  bool driving = false;    // a call of Drive waits
  bool permitted = false;  // and its time is not over
  bool more = false;       // the answer to it: its time was not enough
  Nanoseconds deadline{};
  Nanoseconds waited{};  // collector's thread only

  bool Open() const {
    return !g_driven.load(std::memory_order_relaxed) || holders != 0 || permitted;
  }
  void Answer(bool unfinished) {
    if (!permitted) return;
    permitted = false;
    more = unfinished;
    changed.notify_all();
  }
};

// Neither constructed at run time nor destroyed: threads may wait here while statics are.
constinit State g_state;

constinit thread_local int t_holders = 0;  // the calling thread's part of State::holders

}  // namespace

void SetDriven(bool driven) {
  State& state = g_state;
  {
    const std::lock_guard<std::mutex> lock(state.mutex);
    driven = driven && !state.stopped;
    g_driven.store(driven, std::memory_order_relaxed);
    if (!driven) state.Answer(false);
    state.changed.notify_all();
  }
  // From its sleep, in which it would not notice.
  os::RingBellUrgently();
}

void StopDriving() {
  State& state = g_state;
  {
    const std::lock_guard<std::mutex> lock(state.mutex);
    state.stopped = true;
  }
  SetDriven(false);
}

bool IsDriven() { return g_driven.load(std::memory_order_relaxed); }

void SetDrivenAsTheEnvironmentSays() {
  const char* own_time = std::getenv("REEF_COLLECTOR_THREAD");
  if (own_time != nullptr && std::strcmp(own_time, "0") == 0) SetDriven(true);
}

bool Drive(Nanoseconds budget) {
  os::StartAbsentCollector();
  State& state = g_state;
  std::unique_lock<std::mutex> lock(state.mutex);
  state.changed.wait(lock, [] { return !g_state.driving; });
  if (!IsDriven() || os::IsCollectorAbsent()) return false;
  state.driving = true;
  state.permitted = true;
  const Nanoseconds now = os::Now();
  state.deadline = budget > Nanoseconds::max() - now ? Nanoseconds::max() : now + budget;
  state.changed.notify_all();
  state.changed.wait(lock, [] { return !g_state.permitted; });
  state.driving = false;
  state.changed.notify_all();
  return state.more;
}

void ForgetDriver() {
  const std::lock_guard<std::mutex> lock(g_state.mutex);
  g_state.Answer(false);
}

GateHolder::GateHolder() {
  State& state = g_state;
  const std::lock_guard<std::mutex> lock(state.mutex);
  ++state.holders;
  ++t_holders;
  state.changed.notify_all();
}

GateHolder::~GateHolder() {
  State& state = g_state;
  const std::lock_guard<std::mutex> lock(state.mutex);
  --state.holders;
  --t_holders;
}

void YieldAtGate() {
  if (!IsDriven()) return;
  State& state = g_state;
  std::unique_lock<std::mutex> lock(state.mutex);
  const Nanoseconds now = os::Now();
  if (state.permitted && now < state.deadline) return;
  state.Answer(/*unfinished=*/true);
  if (state.Open()) return;
  lock.unlock();
  {
    // However long that lasts: what a collection owes at any poll is known to the child of a fork.
    const os::ForkWindow window;
    lock.lock();
    state.changed.wait(lock, [] { return g_state.Open(); });
    lock.unlock();
  }
  state.waited += os::Now() - now;
}

bool IsLetIn() {
  const std::lock_guard<std::mutex> lock(g_state.mutex);
  return g_state.permitted;
}

void RestAtGate(bool let_in) {
  State& state = g_state;
  std::unique_lock<std::mutex> lock(state.mutex);
  if (let_in) state.Answer(/*unfinished=*/false);
  state.changed.wait(lock, [] { return g_state.Open(); });
}

std::mutex& GateMutex() { return g_state.mutex; }

void ForgetOthersAtGate() {
  g_state.holders = t_holders;
  g_state.driving = false;
  g_state.permitted = false;
}

Nanoseconds TimeAtGate() { return g_state.waited; }

}  // namespace reef::collector
