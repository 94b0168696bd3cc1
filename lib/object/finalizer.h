// Finalizers from the engine's side, and how it calls user code.
//
// Who brings the count of an object with a finalizer to zero takes the finalizer instead
// (internal::EndOf): the object keeps one root, counted by the same exchange, lives, and enters its
// slot's list through its hidden word; for `shared` is still its counts. The list is worked off
// after the dying worklist, one finalizer after the other, each followed by the drop of that root
// and by what dies of it: so finalizers do not recurse either, however long a chain of them is.
#ifndef REEF_LIB_OBJECT_FINALIZER_H_
#define REEF_LIB_OBJECT_FINALIZER_H_

#include <exception>

#include "reef/internal/header.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::internal {
struct TypeInfo;
struct WeakRecord;
}  // namespace reef::internal

namespace reef::object {

using internal::Header;
using internal::Slot;

// Enters an object whose finalizer was taken, and whose root the list takes over.
void QueueFinalizer(Slot* slot, Header* header);
// Takes the first one off the slot's list and runs its finalizer; false if there is none. Outside
// brackets.
bool RunNextFinalizer(Slot* slot);

// The child of a fork: takes the lists of all slots but `mine`, whose threads are not there any
// more. (What those had taken off is lost.)
void GatherLostFinalizers(const Slot* mine);
// Collector thread: enters them in its own list.
void TakeUpLostFinalizers(Slot* slot);

// Collector: takes the finalizer of an object that marking has not reached; its root then counts.
// False if it is dead, held by a shared root after all (unless `rooted_too`), or its finalizer was
// taken. The object does not die meanwhile (it is published as a hazard).
[[nodiscard]] bool TakeFinalizer(Header* header, bool rooted_too);
// The hidden word, for lists of objects whose finalizers were taken.
Header*& FinalizerLink(Header* header);

// Has the heap's executor, or else this thread, run a weak callback. Before the object's
// destructor.
void DispatchRecord(const internal::HeapCore* core, internal::WeakRecord* record);

// What a function of the program's is called for; see reef::Unraisable.
struct Call {
  const char* phase;
  const internal::TypeInfo* type = nullptr;
  const void* object = nullptr;
};

// Tells the unraisable hook.
void ReportUnraisable(const Call& call, std::exception_ptr exception);

// Calls a function of the program's.
template <typename Function>
void CallUser(const Call& call, Function function) {
  Slot* slot = internal::CurrentSlot();
  ++slot->user_code;
  try {
    function();
  } catch (...) {
    ReportUnraisable(call, std::current_exception());
  }
  --slot->user_code;
}

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_FINALIZER_H_
