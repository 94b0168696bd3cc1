// Faults: makes requests for memory fail on demand, so that tests can walk through every failure.
//
// A fault point stands where the engine asks the system, a heap's limit or the C++ library for
// memory: in Reserve, where slabs, segments and external bytes are charged, before the `new`s of
// paths that go on without, and where a thread is started. None is on a fast path. While nothing is
// armed a point is one load.
#ifndef REEF_LIB_OS_FAULT_H_
#define REEF_LIB_OS_FAULT_H_

#include <cstdint>

namespace reef::os {

// From now on, of the points that any thread passes, those numbered first .. first + count - 1
// (from 0) fail. One test at a time.
void ArmFaults(uint64_t first, uint64_t count);
// Nothing fails any more. Returns how many points were passed while armed.
uint64_t DisarmFaults();

// A fault point: true if the request is to fail. Any thread.
bool IsFaultDue();
// The same where failure is an exception. Throws std::bad_alloc.
void ThrowIfFaultDue();

}  // namespace reef::os

#endif  // REEF_LIB_OS_FAULT_H_
