// The type registry: gives each managed type the index that headers carry.
//
// A type's descriptor lies in the library that made the first object of it. The engine refers to it
// from then on, so that library is kept in the process (lib/os/keep_loaded.h).
#ifndef REEF_LIB_OBJECT_TYPE_REGISTRY_H_
#define REEF_LIB_OBJECT_TYPE_REGISTRY_H_

#include <mutex>

namespace reef::internal {

// For fork, which holds it meanwhile.
std::mutex& TypeRegistryMutex();

}  // namespace reef::internal

#endif  // REEF_LIB_OBJECT_TYPE_REGISTRY_H_
