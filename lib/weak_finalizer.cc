// The finalizers that belong to no class: one list of those alive, newest last.
#include "reef/weak_finalizer.h"

#include <cstdlib>
#include <list>
#include <mutex>
#include <new>
#include <utility>

#include "lib/fork.h"
#include "lib/object/finalizer.h"
#include "lib/os/fault.h"

namespace reef {
namespace internal {

using State = FinalizerState;
using StateList = std::list<std::shared_ptr<State>>;

// Under the registry's mutex, once it is alive.
struct FinalizerState {
  std::function<void()> function;
  WeakRecord* record = nullptr;
  bool alive = true;
  bool at_exit = true;
  StateList::iterator place;  // while alive
};

namespace {

constinit std::mutex g_mutex;

void RunAtExit();

// Under the mutex. Made on first use, never destroyed: objects may die after the last static
// destructor.
StateList& Alive() {
  alignas(StateList) static constinit unsigned char storage[sizeof(StateList)] = {};
  static constinit StateList* alive = nullptr;
  if (alive == nullptr) alive = new (storage) StateList;
  return *alive;
}

// Before the first one is made: so that those who are alive at the process's end are called.
void PrepareExit() {
  static constinit bool prepared = false;
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (prepared) return;
  if (std::atexit(&RunAtExit) != 0) throw std::bad_alloc();
  prepared = true;
}

// The function, for the one caller that finds it alive; otherwise empty. The record is still to be
// cancelled, without the mutex, by who was not called by it.
std::function<void()> Take(const std::shared_ptr<State>& state, WeakRecord** record) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!state->alive) return nullptr;
  state->alive = false;
  *record = std::exchange(state->record, nullptr);
  Alive().erase(state->place);  // `state` is the caller's own, not the list's
  return std::move(state->function);
}

std::function<void()> TakeAndCancel(const std::shared_ptr<State>& state) {
  WeakRecord* record = nullptr;
  std::function<void()> function = Take(state, &record);
  if (record != nullptr) CancelRecord(record);
  return function;
}

void RunAtExit() {
  for (;;) {
    std::shared_ptr<State> newest;
    {
      const std::lock_guard<std::mutex> lock(g_mutex);
      // From the newest on: the functions of others may have entered or taken some.
      for (auto at = Alive().rbegin(); at != Alive().rend() && !newest; ++at) {
        if ((*at)->at_exit) newest = *at;
      }
    }
    if (!newest) return;
    const std::function<void()> function = TakeAndCancel(newest);
    if (function) object::CallUser({.phase = "finalizer at exit"}, function);
  }
}

}  // namespace

std::shared_ptr<State> RegisterFinalizer(const void* object, std::function<void()> function) {
  WeakCell* cell = AcquireCell(object);
  if (cell == nullptr) return nullptr;  // by its own destructor
  try {
    PrepareExit();
    os::ThrowIfFaultDue();
    auto state = std::make_shared<State>();
    state->function = std::move(function);
    StateList entry{state};
    // The record's own copy of the pointer goes when it is called or cancelled. The caller's
    // reference keeps the object: it cannot be called before the entry stands.
    state->record = AddRecord(cell, "finalizer handle", [state] {
      WeakRecord* record = nullptr;
      const std::function<void()> due = Take(state, &record);
      // Its handle's share, before what may throw; the call itself runs on, by the list's.
      if (record != nullptr) CancelRecord(record);
      if (due) due();
    });
    const std::lock_guard<std::mutex> lock(g_mutex);
    state->place = entry.begin();
    Alive().splice(Alive().end(), entry);
    return state;
  } catch (...) {
    ReleaseCell(cell);
    throw;
  }
}

std::mutex& FinalizerRegistryMutex() { return g_mutex; }

}  // namespace internal

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
  const std::lock_guard<std::mutex> lock(internal::FinalizerRegistryMutex());
  return state_->alive;
}

std::function<void()> Finalizer::Peek() const {
  if (state_ == nullptr) return nullptr;
  const std::lock_guard<std::mutex> lock(internal::FinalizerRegistryMutex());
  return state_->alive ? state_->function : nullptr;
}

bool Finalizer::at_exit() const {
  if (state_ == nullptr) return false;
  const std::lock_guard<std::mutex> lock(internal::FinalizerRegistryMutex());
  return state_->alive && state_->at_exit;
}

void Finalizer::set_at_exit(bool at_exit) {
  if (state_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(internal::FinalizerRegistryMutex());
  state_->at_exit = at_exit;
}

}  // namespace reef
