#include "lib/object/subject.h"

#include <atomic>
#include <cstdint>

#include "lib/memory/heap_table.h"
#include "lib/memory/space.h"
#include "reef/internal/slab.h"
#include "reef/internal/type_info.h"

namespace reef::object {

using internal::Header;
using internal::Subject;

Subject SubjectOf(const Header* header) {
  const internal::TypeInfo* type = internal::TypeInfoOf(header);
  if (type == nullptr) return {};
  return {type->signature, reinterpret_cast<const char*>(header) + Header::kBytes};
}

Subject SubjectAround(const void* address) {
  const internal::HeapCore* core = memory::FindHeap(address);
  // A huge run has a record in its first segment only.
  if (core == nullptr || internal::SegmentOf(address)->core != core) return {};
  const internal::Slab* slab = internal::SlabOf(address);
  if (!slab->formatted.load(std::memory_order_acquire) || slab->run_slabs > 1) return {};
  const auto from_first = reinterpret_cast<uintptr_t>(address) -
                          reinterpret_cast<uintptr_t>(internal::SlabBase(slab)) - slab->first;
  const uintptr_t block = reinterpret_cast<uintptr_t>(address) - from_first % slab->block_bytes;
  if (!memory::Space::Of(core)->IsObject(block)) return {};
  return SubjectOf(reinterpret_cast<const Header*>(block));
}

}  // namespace reef::object
