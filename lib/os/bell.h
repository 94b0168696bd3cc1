// The bell: wakes the collector thread when there is something for it to do.
//
// Ringing is cheap when the collector thread is awake (one load) and correct when it is about to
// fall asleep: the ringer makes its work visible by a read-modify-write and then looks at the
// collector's state; the collector stores its state by one and then looks for work. One of them
// sees the other.
#ifndef REEF_LIB_OS_BELL_H_
#define REEF_LIB_OS_BELL_H_

#include <chrono>

namespace reef::os {

// Any thread: there is work that may wait a millisecond. It must have been published by a
// sequentially consistent read-modify-write. Wakes a collector that sleeps or dozes, not one that
// naps.
void RingBell();
// The same for work that cannot be done while what is there already waits. Wakes a collector that
// sleeps, not one that dozes or naps.
void RingBellForMore();
// Any thread: memory has been taken or freed, or the pacing changed, so the pacer should look
// before long. Rings at most once until the collector has taken note.
void NoteActivity();
// Collector thread: whether there was any since the last call.
bool TakeActivity();
bool HasActivity();
// Any thread: somebody waits for the collector. Wakes it in any case; fences itself.
void RingBellUrgently();

// A child of a fork has no collector thread until it needs one. Who finds it absent, outside
// brackets and where a thread may be created, says so; the one that comes first has it started by
// `start`, which the collector sets.
bool IsCollectorAbsent();
void StartAbsentCollector();
// True if it is absent; nobody starts it from then on.
bool TakeCollectorAbsence();
void SetCollectorStart(void (*start)());
// In the child.
void NoteCollectorAbsent();

// Collector thread. Sleeps until rung or `timeout` has passed; `has_work` is asked once more after
// the sleeper has announced itself.
void SleepUntilRung(std::chrono::nanoseconds timeout, bool (*has_work)());
// The same while there is work that cannot be done yet: RingBellForMore does not end it.
void Doze(std::chrono::nanoseconds timeout, bool (*has_new_work)());
// The same, but only an urgent ring ends it: lets small work gather.
void Nap(std::chrono::nanoseconds timeout, bool (*has_urgent_work)());

}  // namespace reef::os

#endif  // REEF_LIB_OS_BELL_H_
