// The weak door: where the revival of white objects meets the end of marking.
//
// While a collection is armed, a weak handle can reach objects that are white: nothing else can,
// and nobody logs what it brings back. So a Lock of a white object first enters the door: one word,
// open or closed, and the number of such revivals that the collector has not yet drained from the
// logs *and marked*. The collector closes it by one exchange from (open, 0), directly after a round
// of marking that brought nothing new. So all white objects die at that instant: every revival
// before it is marked, and behind a closed door a white object is null, for ever (I9).
//
// An object that a Lock found closed and white may have been marked in between: its colour is read
// again behind the door. (Model: tests/models/weak.pml.)
#ifndef REEF_LIB_OBJECT_DOOR_H_
#define REEF_LIB_OBJECT_DOOR_H_

#include <cstdint>

namespace reef::object {

// A revival begins; false if the door is closed.
[[nodiscard]] bool EnterDoor();
// Revivals that are over: one that failed, or `count` whose objects have been marked.
void LeaveDoor(uint64_t count);

// Collector: closes it if nobody is inside. False otherwise.
[[nodiscard]] bool CloseDoor();
// Collector: opens it, with nobody inside: no collection is armed and no bracket knows of one.
void OpenDoor();

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_DOOR_H_
