// Keeping a shared library in the process once the engine refers to something inside it.
//
// What managed types leave in the engine, pointers to their descriptors, and through these to their
// Trace and destructor, must outlive a dlclose of the library that defined them; and so must the
// engine's own code, where it is part of a library.
#ifndef REEF_LIB_OS_KEEP_LOADED_H_
#define REEF_LIB_OS_KEEP_LOADED_H_

namespace reef::os {

// The shared library that holds `address` stays until the process ends. True if it does, or if the
// address lies in the program itself or in memory that no library owns. Any thread, outside
// brackets; takes the dynamic linker's lock.
bool KeepLoaded(const void* address);
// The same for the engine's own code, whose threads run it to the end, should it be part of a
// library. The first call by any thread does it; not with a mutex held that a library's statics may
// wait for, because the dynamic linker holds its lock while it runs them.
void KeepEngineLoaded();

}  // namespace reef::os

#endif  // REEF_LIB_OS_KEEP_LOADED_H_
