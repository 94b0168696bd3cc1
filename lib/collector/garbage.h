// What debugging does with garbage: prints each object, or keeps all of them in a list, as Python's
// gc.DEBUG_COLLECTABLE and gc.DEBUG_SAVEALL.
//
// Printing only looks: between the close of the weak door and condemning, when the white objects
// are garbage for good (I7).
//
// Keeping brings objects back to life, so it must come before the door closes: a weak handle that
// has found it closed has promised that nobody sees its object alive again. It comes after the
// finalizers, as in Python, and like them it is followed by more marking: kept objects get a root
// and are marked with all they reach, which is kept, too. At that moment a weak handle may still
// bring one of them back; who is a root already is passed over, but what only he refers to may be
// listed although the program can reach it.
#ifndef REEF_LIB_COLLECTOR_GARBAGE_H_
#define REEF_LIB_COLLECTOR_GARBAGE_H_

#include <cstdint>

#include "lib/collector/collected_heap.h"
#include "lib/collector/marker.h"

namespace reef::collector {

enum class Kept : uint8_t {
  kNothing,
  kSome,    // pushed, and to be marked
  kNoRoom,  // the list finds no memory: nothing is kept, and the collection must be aborted
};

// Keeps what is white, if the heap's options ask for it (and prints it, if they ask for that). The
// collection is armed, the door open, and the last round of marking has brought nothing new.
Kept KeepGarbage(CollectedHeap* heap, uint8_t black, Marker* marker, CollectionReport* report);

// Prints what is white, if the heap's options ask for it. The door is closed.
void PrintGarbage(const CollectedHeap& heap, uint8_t black);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_GARBAGE_H_
