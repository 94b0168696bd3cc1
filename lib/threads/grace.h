// Grace periods: until every bracket and every ReadScope that was open at the start has ended.
//
// The same observation as a rendezvous, taken without waiting: one grace period runs at a time; its
// start issues a membarrier and notes every odd `seq` and `scope`; it is complete when each of them
// has changed. Whoever wants to know advances it; who finds another thread at it just goes on.
//
// A ticket names the first grace period that starts after the call, so what the caller unlinked
// before cannot be seen by anybody once Passed(ticket).
#ifndef REEF_LIB_THREADS_GRACE_H_
#define REEF_LIB_THREADS_GRACE_H_

#include <cstdint>

namespace reef::threads {

using GraceTicket = uint64_t;

// Any thread.
GraceTicket TakeGraceTicket();
bool GracePassed(GraceTicket ticket);
// Starts a grace period if none is running and somebody waits; completes it if it can. Never waits.
void AdvanceGrace();

// For fork: waits until nobody is at it, and keeps everybody from it.
void HoldGrace();
void ReleaseGrace();

}  // namespace reef::threads

#endif  // REEF_LIB_THREADS_GRACE_H_
