// The end of a diagnosed error (reef/internal/check.h).
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "reef/internal/check.h"

namespace reef::internal {
namespace {

// One write, no allocation: the heap may be the thing that is broken.
void Print(const char* text, int length, int limit) {
  if (length > limit) length = limit;
  if (length > 0) (void)!write(STDERR_FILENO, text, static_cast<size_t>(length));
}

// "  object: <type> at <address>", or nothing; the type is what stands behind "T = " in a
// function's signature, as the compilers write it.
struct SubjectLine {
  explicit SubjectLine(const Subject& subject) {
    if (subject.signature == nullptr) return;
    const char* name = std::strstr(subject.signature, "T = ");
    name = name == nullptr ? subject.signature : name + 4;
    auto length = static_cast<int>(std::strcspn(name, ";"));
    if (length > 0 && name[length] == 0 && name[length - 1] == ']') --length;
    (void)std::snprintf(text, sizeof text, "  object: %.*s at %p\n", length, name, subject.address);
  }
  char text[512] = {};
};

}  // namespace

void Fatal(const char* file, int line, const char* what, const char* hint, const Subject& subject) {
  const SubjectLine object(subject);
  char text[1024];
  const int length = std::snprintf(text, sizeof text, "reef: %s\n%s  at %s:%d\n  hint: %s\n", what,
                                   object.text, file, line, hint);
  Print(text, length, static_cast<int>(sizeof text) - 1);
  std::abort();
}

void Fatal(const char* file, int line, const char* what, const char* hint) {
  Fatal(file, line, what, hint, Subject());
}

void Warn(const char* what, const char* hint, const Subject& subject) {
  const SubjectLine object(subject);
  char text[1024];
  const int length = std::snprintf(text, sizeof text, "reef: warning: %s\n%s  hint: %s\n", what,
                                   object.text, hint);
  Print(text, length, static_cast<int>(sizeof text) - 1);
}

void Warn(const char* what, const char* hint) { Warn(what, hint, Subject()); }

}  // namespace reef::internal
