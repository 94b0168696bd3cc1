#include "lib/os/keep_loaded.h"

#include <dlfcn.h>
#include <link.h>

namespace reef::os {

bool KeepLoaded(const void* address) {
  Dl_info info{};
  void* extra = nullptr;
  if (dladdr1(address, &info, &extra, RTLD_DL_LINKMAP) == 0 || extra == nullptr) return true;
  const char* name = static_cast<const link_map*>(extra)->l_name;
  // The program itself has no name here.
  if (name == nullptr || *name == '\0') return true;
  // Not loaded anew, only marked; the handle is never closed.
  return dlopen(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

}  // namespace reef::os
