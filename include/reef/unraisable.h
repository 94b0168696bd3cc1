// The unraisable hook: where exceptions go that nobody could catch.
//
// Finalizers, weak callbacks and other functions that the engine calls run where no caller expects
// their exceptions: at the end of a Ref, or on the collector thread. They are caught, the hook is
// told, and all goes on as if the function had returned. (What a destructor throws
// ends the process.) Follows Python's sys.unraisablehook.
#ifndef REEF_UNRAISABLE_H_
#define REEF_UNRAISABLE_H_

#include <exception>

namespace reef {

// What the hook is told. All of it is the call's: a hook that keeps the texts copies them.
struct Unraisable {
  // What was called, a constant:
  //   "finalizer"            an object's Finalize
  //   "weak callback"        a WeakCallback's function
  //   "finalizer handle"     a Finalizer's function at the death of its object
  //   "finalizer at exit"    the same at the end of the process
  //   "finalizer executor"   HeapOptions::finalizer_executor
  //   "on_limit"             HeapOptions::on_limit
  //   "collection callback"  a function of Heap::OnCollection
  const char* phase;
  // Of the object that the first three are about, as the compiler spells it; else "".
  const char* type_name;
  // That object, still whole; null for the others, and for callbacks and handles that an executor
  // has run: it may have gone.
  const void* object;
  std::exception_ptr exception;
};

using UnraisableHook = void (*)(const Unraisable&);

// Sets the hook and returns the former one; null stands for the default, which prints a line to
// stderr. Any thread. The hook is called on the thread that caught the exception, perhaps on
// several at once, and may do what the function that threw could: use heaps, but not collect. What
// it throws itself is reported by the default, and so is then what it was told. A hook that was
// replaced may still run on other threads.
UnraisableHook SetUnraisableHook(UnraisableHook hook) noexcept;

}  // namespace reef

#endif  // REEF_UNRAISABLE_H_
