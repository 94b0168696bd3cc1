// The finalizers that belong to no class: one list of those alive, newest last.
#include "reef/weak_finalizer.h"

#include <cstdlib>
#include <list>
#include <mutex>
#include <utility>

#include "lib/object/finalizer.h"
#include "lib/os/fault.h"

namespace reef {
namespace internal {

using State = FinalizerState;
using StateList = std::list<std::shared_ptr<State>>;

// Under the registry's mutex, all of it.
struct FinalizerState {
  std::function<void()> function;
  WeakRecord* record = nullptr;
  bool alive = true;
  bool at_exit = true;
  StateList::iterator place;  // while alive
};

namespace {

struct Registry {
  std::mutex mutex;
  StateList alive;
};

void RunAtExit();

// Never destroyed: objects may die after the last static destructor.
Registry& TheRegistry() {
  alignas(Registry) static unsigned char storage[sizeof(Registry)];
  static Registry* registry = [] {
    (void)std::atexit(&RunAtExit);
    return new (storage) Registry;
  }();
  return *registry;
}

// The function, for the one caller that finds it alive; otherwise empty. The record is still to be
// cancelled, without the mutex, by who was not called by it.
std::function<void()> Take(const std::shared_ptr<State>& state, WeakRecord** record) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  if (!state->alive) return nullptr;
  state->alive = false;
  *record = std::exchange(state->record, nullptr);
  registry.alive.erase(state->place);  // `state` is the caller's own, not the list's
  return std::move(state->function);
}

std::function<void()> TakeAndCancel(const std::shared_ptr<State>& state) {
  WeakRecord* record = nullptr;
  std::function<void()> function = Take(state, &record);
  if (record != nullptr) CancelRecord(record);
  return function;
}

void RunAtExit() {
  Registry& registry = TheRegistry();
  for (;;) {
    std::shared_ptr<State> newest;
    {
      const std::lock_guard<std::mutex> lock(registry.mutex);
      // From the newest on: the functions of others may have entered or taken some.
      for (auto at = registry.alive.rbegin(); at != registry.alive.rend() && !newest; ++at) {
        if ((*at)->at_exit) newest = *at;
      }
    }
    if (!newest) return;
    const std::function<void()> function = TakeAndCancel(newest);
    if (function) object::CallUser("finalizer at exit", nullptr, function);
  }
}

}  // namespace

std::shared_ptr<State> RegisterFinalizer(WeakCell* cell, std::function<void()> function) {
  try {
    os::ThrowIfFaultDue();
    auto state = std::make_shared<State>();
    state->function = std::move(function);
    Registry& registry = TheRegistry();
    StateList entry{state};
    // The record's own copy of the pointer goes when it is called or cancelled. The caller's
    // reference keeps the object: it cannot be called before the entry stands.
    state->record = AddRecord(cell, [state] {
      WeakRecord* record = nullptr;
      const std::function<void()> due = Take(state, &record);
      if (due) due();
      // Its handle's share; the call itself runs on.
      if (record != nullptr) CancelRecord(record);
    });
    const std::lock_guard<std::mutex> lock(registry.mutex);
    state->place = entry.begin();
    registry.alive.splice(registry.alive.end(), entry);
    return state;
  } catch (...) {
    ReleaseCell(cell);
    throw;
  }
}

}  // namespace internal

namespace {

std::mutex& Mutex() { return internal::TheRegistry().mutex; }

}  // namespace

bool Finalizer::operator()() {
  if (state_ == nullptr) return false;
  const std::function<void()> function = internal::TakeAndCancel(state_);
  if (!function) return false;
  function();
  return true;
}

std::function<void()> Finalizer::Detach() {
  return state_ == nullptr ? nullptr : internal::TakeAndCancel(state_);
}

bool Finalizer::alive() const {
  if (state_ == nullptr) return false;
  const std::lock_guard<std::mutex> lock(Mutex());
  return state_->alive;
}

std::function<void()> Finalizer::Peek() const {
  if (state_ == nullptr) return nullptr;
  const std::lock_guard<std::mutex> lock(Mutex());
  return state_->alive ? state_->function : nullptr;
}

bool Finalizer::at_exit() const {
  if (state_ == nullptr) return false;
  const std::lock_guard<std::mutex> lock(Mutex());
  return state_->alive && state_->at_exit;
}

void Finalizer::set_at_exit(bool at_exit) {
  if (state_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(Mutex());
  state_->at_exit = at_exit;
}

}  // namespace reef
