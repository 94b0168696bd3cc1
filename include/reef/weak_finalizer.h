// Finalizer: a function that runs when an object dies, or else at the end of the process.
//
//   reef::Finalizer cleanup(file, [path] { std::filesystem::remove(path); });
//   cleanup.Detach();                      // never mind
//
// Unlike the type's own Finalize it belongs to no class, does not see the object, and cannot
// resurrect it; unlike WeakCallback it does its work although nobody keeps its handle: it stays
// alive until it was called, detached, or its object has died. What it captures must not keep the
// object alive: it would live to the end of the process. Follows Python's weakref.finalize.
//
// At the death of the object the function is called as a WeakCallback's is: among these, by its
// age, on the same thread or by the same executor, and what it throws goes to the unraisable hook.
// Heap::Collect is refused inside it then.
//
// Thread safety: all functions from any threads, but assignment: one handle is assigned by one
// thread while no other uses it. Of a call, a Detach and the death one has the function.
#ifndef REEF_WEAK_FINALIZER_H_
#define REEF_WEAK_FINALIZER_H_

#include <functional>
#include <memory>

#include "reef/internal/check.h"
#include "reef/internal/weak_cell.h"
#include "reef/ref.h"

namespace reef {

namespace internal {
struct FinalizerState;
// Of a managed object that somebody refers to; null if it is being destroyed.
std::shared_ptr<FinalizerState> RegisterFinalizer(const void* object,
                                                  std::function<void()> function);
}  // namespace internal

// Copies are handles to the same finalizer. One that is not alive, was moved from, or is empty may
// be asked and told anything: it does nothing, and says so.
class Finalizer {
 public:
  Finalizer() = default;
  // Throws OutOfMemory, std::bad_alloc, or what copying the function throws: then nothing has
  // happened. An empty Ref makes one that is not alive; so does an empty function, or a Ref to an
  // object in its own destructor, but that checked builds abort.
  template <typename T>
  Finalizer(const Ref<T>& object, const std::function<void()>& function) {
    if (!object) return;
    REEF_DCHECK(function != nullptr, "a Finalizer without a function",
                "give it something to do when its object dies");
    if (!function) return;
    state_ = internal::RegisterFinalizer(object.get(), function);
  }

  // Calls the function now, if it is alive; true if it did. Passes on what it throws. False inside
  // the function itself: it is not alive any more.
  bool operator()();
  // It is not called any more. Returns the function, or an empty one if it was not alive.
  std::function<void()> Detach();
  // True until it is called or detached, or its object has died.
  bool alive() const;
  // A copy of the function, or an empty one if it is not alive. It is made under a lock of all
  // Finalizers: what is copied must neither fork nor use one in its copy constructor.
  std::function<void()> Peek() const;
  // Whether it runs at the end of the process (std::exit, or return from main) if it is still alive
  // then; at first, yes. The newest run first; what they throw goes to the unraisable hook.
  bool at_exit() const;
  void set_at_exit(bool at_exit);

 private:
  std::shared_ptr<internal::FinalizerState> state_;
};

}  // namespace reef

#endif  // REEF_WEAK_FINALIZER_H_
