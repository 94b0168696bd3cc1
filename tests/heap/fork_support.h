// What the suites about fork share: a child that checks, and says by its end how it went.
#ifndef REEF_TESTS_HEAP_FORK_SUPPORT_H_
#define REEF_TESTS_HEAP_FORK_SUPPORT_H_

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "gtest/gtest.h"

#include "tests/heap/support.h"

namespace reef::test {

// In a child: ends it, unless the condition holds. (A child has no business with the assertions of
// the process that it was copied from.)
#define CHILD_CHECK(condition)                                                                   \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      (void)dprintf(STDERR_FILENO, "%s:%d: in the child: %s\n", __FILE__, __LINE__, #condition); \
      _exit(1);                                                                                  \
    }                                                                                            \
  } while (false)

// A child that hangs is killed by this, and has failed. (Seconds; it does nothing but its test.)
inline constexpr unsigned kChildPatience = 60;

// Forks; the child runs `body` and ends with 0.
template <typename Body>
pid_t StartChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    (void)alarm(kChildPatience);
    // Not what sanitizers can follow: the thread sanitizer ends a child that starts a thread with a
    // lost one's id, and the address sanitizer's allocator stays locked if a lost thread was in it.
    // What they can see is the parent.
    if (!kSanitized) body();
    _exit(0);
  }
  return child;
}

// "exit 0" is success.
inline std::string EndOf(pid_t child) {
  if (child < 0) return "fork failed";
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return "waitpid failed";
  }
  if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status));
}

template <typename Body>
std::string RunChild(const Body& body) {
  return EndOf(StartChild(body));
}

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_FORK_SUPPORT_H_
