// Deferral: deaths wait until it ends, so that a lock may be held around changes of edges.
//
// A change of an edge may find that an object's last reference has gone, or that the thread's
// pending references are to be revoked: either runs destructors, and those run the program's code,
// which must not find the lock held. While a Deferral is open, whatever dies on this thread goes on
// its worklist; the list is worked off when it ends, or, if the thread was working it off already,
// by that. Declare it before the lock.
#ifndef REEF_LIB_OBJECT_DEFERRAL_H_
#define REEF_LIB_OBJECT_DEFERRAL_H_

#include "lib/object/dying.h"
#include "reef/internal/slot.h"

namespace reef::object {

class Deferral {
 public:
  explicit Deferral(Slot* slot) : slot_(slot), was_draining_(slot->draining) {
    slot->draining = true;
  }
  ~Deferral() {
    if (!was_draining_) DrainList(slot_);
  }
  Deferral(const Deferral&) = delete;
  Deferral& operator=(const Deferral&) = delete;

 private:
  Slot* const slot_;
  const bool was_draining_;
};

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_DEFERRAL_H_
