// The program's and the engine's own operator new, made to fail on demand. It replaces the global
// one of this test program, and is else what that is.
#ifndef REEF_TESTS_HEAP_FAILING_NEW_H_
#define REEF_TESTS_HEAP_FAILING_NEW_H_

#include <cstdint>

namespace reef::test {

// As os::ArmFaults and DisarmFaults: of the calls on any thread those numbered first .. first +
// count - 1 fail.
void ArmNews(uint64_t first, uint64_t count);
uint64_t DisarmNews();

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_FAILING_NEW_H_
