#include "lib/os/keep_loaded.h"

#include <dlfcn.h>
#include <link.h>

#include <atomic>

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

void KeepEngineLoaded() {
  // Relaxed: twice does no harm.
  static constinit std::atomic<bool> kept{false};
  if (kept.load(std::memory_order_relaxed)) return;
  (void)KeepLoaded(reinterpret_cast<const void*>(&KeepEngineLoaded));
  kept.store(true, std::memory_order_relaxed);
}

}  // namespace reef::os
