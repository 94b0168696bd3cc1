// Late threads: those that use a heap after the engine has seen them end.
//
// The end of a thread is the destructor of a thread-specific value (slot_registry.cc). Another
// key's destructor may use a heap afterwards: the thread attaches again, and the engine's runs
// again in the next round. But the system makes four rounds at most, and after the last one nothing
// of the program runs on the thread any more. So a thread that attaches for the second time also
// locks a robust mutex, which it leaves locked unless there is another round: the kernel marks that
// when the thread has gone, and whoever looks for an orphan finds the mark. (A thread whose first
// use of all comes in the last round is not found. It would take a mutex for each thread.)
#ifndef REEF_LIB_THREADS_LATE_H_
#define REEF_LIB_THREADS_LATE_H_

#include <mutex>

#include "reef/internal/slot.h"

namespace reef::threads {

using internal::Slot;

// The calling thread, which had ended, has got this slot. If very many are late at once, nothing:
// the slot may then stay with a thread that is gone.
void EnterLate(Slot* slot);
// The calling thread ends again. Nothing if it is not late.
void LeaveLate();
// The slot of a late thread that is gone, as it left it; null if there is none.
Slot* TakeLate();

// For fork: held meanwhile; the child, where no late thread is left but perhaps the caller, who is
// late no more.
std::mutex& LateMutex();
void ForgetLate();

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_LATE_H_
