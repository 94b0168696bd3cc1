#include "lib/object/type_registry.h"

#include <cstring>
#include <mutex>

#include "lib/os/keep_loaded.h"
#include "reef/internal/check.h"
#include "reef/internal/type_info.h"

namespace reef::internal {

std::atomic<TypeInfo*> g_types[kMaxTypes];

namespace {
constinit std::mutex g_mutex;
}  // namespace

std::mutex& TypeRegistryMutex() { return g_mutex; }

uint64_t RegisterType(TypeInfo* info) {
  static uint32_t next = 1;  // index 0 is no type: a header of zeros
  // Before the type can be met in a header, and before the mutex: the dynamic linker has one of its
  // own, which it may hold while a library's statics make objects.
  if (!os::KeepLoaded(info)) {
    Warn("a library that defines managed types cannot be kept in the process",
         "do not dlclose it: the heap goes on calling its destructors");
  }
  const std::lock_guard<std::mutex> lock(g_mutex);
  uint64_t birth = info->birth.load(std::memory_order_relaxed);
  if (birth != kBornUnbiased) return birth;
  REEF_CHECK(next < kMaxTypes, "more than 65,535 managed types", "use fewer template instances");
  g_types[next].store(info, std::memory_order_release);
  birth = uint64_t{next++} << kTypeShift;
  if (!info->traced) {
    const uint8_t colour = info->trivial ? kTrivialLeafColour : kLeafColour;
    birth |=
        (uint64_t{colour} << kColourShift) | (static_cast<uint64_t>(Stage::kLive) << kStageShift);
  }
  info->birth.store(birth, std::memory_order_release);
  return birth;
}

bool SameType(const TypeInfo* a, const TypeInfo* b) {
  if (a == b) return true;
  if (a->library == b->library || a->bytes != b->bytes || a->alignment != b->alignment ||
      std::strcmp(a->signature, b->signature) != 0) {
    return false;
  }
  // As GCC and Clang spell an unnamed namespace or type, and that of a lambda.
  for (const char* unnamed :
       {"{anonymous}", "(anonymous", "<unnamed", "(unnamed", "<lambda", "(lambda"}) {
    if (std::strstr(a->signature, unnamed) != nullptr) return false;
  }
  return true;
}

void CopyTypeName(const TypeInfo* type, char* text, size_t size) {
  // "constexpr const char* reef::internal::SignatureOf() [with T = NAME]", or "[T = NAME]".
  const char* name = std::strstr(type->signature, "T = ");
  name = name == nullptr ? type->signature : name + std::strlen("T = ");
  const char* end = std::strrchr(name, ']');
  const size_t length = end == nullptr ? std::strlen(name) : static_cast<size_t>(end - name);
  const size_t copied = length < size ? length : size - 1;
  std::memcpy(text, name, copied);
  text[copied] = '\0';
}

}  // namespace reef::internal
