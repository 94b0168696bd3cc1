// The unraisable hook: where exceptions go that nobody could catch.
//
// Finalizers, weak callbacks and other functions that the engine calls run where no caller expects
// their exceptions: at the end of a Ref, or on the collector thread. They are caught, and the hook
// is told. Follows Python's sys.unraisablehook.
#ifndef REEF_UNRAISABLE_H_
#define REEF_UNRAISABLE_H_

#include <exception>

namespace reef {

struct Unraisable {
  const char* phase;      // "finalizer", "weak callback", ...
  const char* type_name;  // of the object's type, as the compiler spells it; "" if there is none
  const void* object;     // null if there is none; still whole during the call
  std::exception_ptr exception;
};

using UnraisableHook = void (*)(const Unraisable&);

// Sets the hook and returns the former one; null stands for the default, which prints a line to
// stderr. Any thread. The hook is called on the thread that caught the exception, perhaps on
// several at once; what it throws itself is reported by the default.
UnraisableHook SetUnraisableHook(UnraisableHook hook) noexcept;

}  // namespace reef

#endif  // REEF_UNRAISABLE_H_
