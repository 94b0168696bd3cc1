// The end of a diagnosed error (reef/internal/check.h).
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "reef/internal/check.h"

namespace reef::internal {
namespace {

// One write, no allocation: the heap may be the thing that is broken.
void Print(const char* text, int length, int limit) {
  if (length > limit) length = limit;
  if (length > 0) (void)!write(STDERR_FILENO, text, static_cast<size_t>(length));
}

}  // namespace

void Fatal(const char* file, int line, const char* what, const char* hint) {
  char text[1024];
  const int length = std::snprintf(text, sizeof text, "reef: %s\n  at %s:%d\n  hint: %s\n", what,
                                   file, line, hint);
  Print(text, length, static_cast<int>(sizeof text) - 1);
  std::abort();
}

void Warn(const char* what, const char* hint) {
  char text[1024];
  const int length =
      std::snprintf(text, sizeof text, "reef: warning: %s\n  hint: %s\n", what, hint);
  Print(text, length, static_cast<int>(sizeof text) - 1);
}

}  // namespace reef::internal
