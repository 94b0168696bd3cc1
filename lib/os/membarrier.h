// Membarrier: a memory fence that one thread issues on behalf of all threads of the process.
//
// It is what makes brackets and biased counts free of fences: a thread's plain "store, then load"
// is ordered against whoever issues the barrier in between. (Linux 4.14, PRIVATE_EXPEDITED.)
#ifndef REEF_LIB_OS_MEMBARRIER_H_
#define REEF_LIB_OS_MEMBARRIER_H_

namespace reef::os {

// Registers the process. False where the kernel has no membarrier, a sandbox forbids it, or the
// environment variable REEF_NO_MEMBARRIER is set: then nothing is born biased and brackets fence.
bool RegisterMembarrier();
bool HasMembarrier();
// In the child of a fork: registers again, if the parent had.
void RenewMembarrier();

// Every other thread of the process passes a full fence before this returns; the caller as well.
// Without membarrier it is the caller's own fence only.
void Membarrier();

}  // namespace reef::os

#endif  // REEF_LIB_OS_MEMBARRIER_H_
