// The checked builds' questions about places: is this an object, does this edge lie in one?
#include <atomic>
#include <cstdint>

#include "lib/memory/heap_table.h"
#include "lib/memory/space.h"
#include "lib/object/subject.h"
#include "reef/internal/check.h"
#include "reef/internal/count.h"
#include "reef/internal/edge.h"
#include "reef/internal/slab.h"
#include "reef/internal/type_info.h"

namespace reef::internal {
namespace {

// True if `payload` is where an object starts, not a part of one, nor raw bytes. `core` is the heap
// whose region it lies in.
bool StartsAnObject(const HeapCore* core, const void* payload) {
  const uintptr_t header = reinterpret_cast<uintptr_t>(payload) - Header::kBytes;
  return memory::Space::Of(core)->IsObject(header);
}

// The slab that `address` lies in; null inside the tail of a huge run, where there is no record.
const Slab* SlabAround(const HeapCore* core, const void* address) {
  const Segment* segment = SegmentOf(address);
  if (segment->core != core) return nullptr;
  const Slab* slab = SlabOf(address);
  return slab->formatted.load(std::memory_order_acquire) ? slab : nullptr;
}

}  // namespace

void CheckEdgePlace(const void* edge) {
  const HeapCore* core = memory::FindHeap(edge);
  REEF_CHECK(core != nullptr, "an edge (Member, AtomicMember or Vector) outside a managed object",
             "hold objects by reef::Ref outside the heap");
  const Slab* slab = SlabAround(core, edge);
  REEF_CHECK(slab == nullptr || slab->kind != SlabKind::kRaw,
             "an edge (Member, AtomicMember or Vector) in raw bytes of the heap",
             "only managed objects may hold edges: nobody would trace this one");
  REEF_CHECK_OF(slab == nullptr || IsTraced(slab->kind), object::SubjectAround(edge),
                "an edge in an object whose type has no Trace",
                "give the type a public `void Trace(reef::Visitor&) const` that visits its edges");
}

void CheckEdgeTarget(const void* edge, const void* target) {
  CheckEdgePlace(edge);
  REEF_CHECK_OF(
      memory::FindHeap(edge) == memory::FindHeap(target), object::SubjectAround(edge),
      "an edge across heaps",
      "objects of different heaps may refer to each other by reef::Ref in outside code only");
}

void CheckRootPlace(const void* root) {
  const HeapCore* core = memory::FindHeap(root);
  if (core == nullptr) return;
  const Slab* slab = SlabAround(core, root);
  if (slab == nullptr || slab->kind == SlabKind::kRaw) return;
  // One report is enough to find the type; more would drown the program's own output.
  static std::atomic<bool> reported{false};
  if (reported.exchange(true, std::memory_order_relaxed)) return;
  Warn("a reef::Ref inside a managed object",
       "it is a root: cycles through it are never collected; use reef::Member (for an AtomicRef: "
       "reef::AtomicMember)",
       object::SubjectAround(root));
}

void CheckManaged(const void* payload) {
  const HeapCore* core = memory::FindHeap(payload);
  REEF_CHECK(core != nullptr, "a Ref to something that is not a managed object",
             "only objects from Make have a header; pass the object's own address");
  REEF_CHECK_OF(
      StartsAnObject(core, payload) && Header::Of(payload)->GetStage() == Stage::kLive,
      object::SubjectAround(payload),
      "a Ref to an object that is being constructed or destroyed, or to a part of an object",
      "pass the address of a whole, living object");
}

void CheckMayBeCounted(const Header* header) {
  const Stage stage = header->GetStage();
  REEF_CHECK_OF(stage == Stage::kLive || stage == Stage::kBuilding ||
                    (header->Shared(std::memory_order_relaxed) & kDead) == 0,
                object::SubjectOf(header), "a new reference to an object that is being destroyed",
                "a destructor must not store `this`, nor copy a handle to what is dying");
}

void CheckManagedOrDying(const void* payload) {
  const HeapCore* core = memory::FindHeap(payload);
  REEF_CHECK(core != nullptr, "a Weak to something that is not a managed object",
             "only objects from Make have a header; pass the object's own address");
  const bool whole = StartsAnObject(core, payload);
  const Stage stage = whole ? Header::Of(payload)->GetStage() : Stage::kFree;
  REEF_CHECK_OF(stage != Stage::kFree && stage != Stage::kBuilding, object::SubjectAround(payload),
                "a Weak to an object that is being constructed, or to a part of an object",
                "make it after Make has returned, or by a function that is called then");
}

}  // namespace reef::internal
