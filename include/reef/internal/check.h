// Diagnosed errors: what happens when Reef is misused or finds its own state broken.
//
// REEF_CHECK always stands; REEF_DCHECK stands in checked builds only (every preset but `release`,
// macro REEF_CHECKED). Both print what went wrong, where, and what to do instead, then abort.
#ifndef REEF_INTERNAL_CHECK_H_
#define REEF_INTERNAL_CHECK_H_

#if defined(REEF_CHECKED) && REEF_CHECKED
#define REEF_IS_CHECKED 1
#else
#define REEF_IS_CHECKED 0
#endif

namespace reef::internal {

// The object that a diagnosed error is about.
struct Subject {
  const char* signature = nullptr;  // of a function instantiated for its type; null: not known
  const void* address = nullptr;
};

// Prints "reef: <what>" with the place and "  hint: <hint>" to stderr, then aborts. Allocates
// nothing.
[[noreturn]] void Fatal(const char* file, int line, const char* what, const char* hint);

// The same with a line that names the object's type and address.
[[noreturn]] void Fatal(const char* file, int line, const char* what, const char* hint,
                        const Subject& subject);

// Prints a report that is not fatal, in the same form.
void Warn(const char* what, const char* hint);
void Warn(const char* what, const char* hint, const Subject& subject);

}  // namespace reef::internal

#define REEF_LIKELY(x) __builtin_expect(static_cast<bool>(x), 1)
#define REEF_UNLIKELY(x) __builtin_expect(static_cast<bool>(x), 0)
#define REEF_INLINE inline __attribute__((always_inline))
#define REEF_NOINLINE __attribute__((noinline))

#define REEF_CHECK(condition, what, hint)                      \
  do {                                                         \
    if (REEF_UNLIKELY(!(condition))) {                         \
      ::reef::internal::Fatal(__FILE__, __LINE__, what, hint); \
    }                                                          \
  } while (false)

// The same about an object: `subject` is asked for only if it is wrong.
#define REEF_CHECK_OF(condition, subject, what, hint)                   \
  do {                                                                  \
    if (REEF_UNLIKELY(!(condition))) {                                  \
      ::reef::internal::Fatal(__FILE__, __LINE__, what, hint, subject); \
    }                                                                   \
  } while (false)

#if REEF_IS_CHECKED
#define REEF_DCHECK(condition, what, hint) REEF_CHECK(condition, what, hint)
#else
#define REEF_DCHECK(condition, what, hint) \
  do {                                     \
  } while (false)
#endif

#endif  // REEF_INTERNAL_CHECK_H_
