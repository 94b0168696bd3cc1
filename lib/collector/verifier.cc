#include "lib/collector/verifier.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "lib/collector/collected_heap.h"
#include "lib/object/hidden_edge.h"
#include "lib/object/weak.h"
#include "reef/internal/marked_word.h"
#include "reef/internal/type_info.h"
#include "reef/trace.h"

namespace reef::collector {
namespace {

using internal::Edge;
using internal::kDead;
using internal::kImmortal;
using internal::kMerged;
using internal::kQueued;
using internal::kSticky;
using internal::Stage;

class Verification : public Visitor {
 public:
  explicit Verification(const Space& space) : Visitor(&Verification::OnEdge), space_(space) {}

  absl::Status Run(const memory::SlabBatch& quarantine) {
    space_.FindFaults(quarantine, [this](const char* what, const Slab* slab) {
      if (violations_.size() >= kMaxViolations) return;
      violations_.push_back(
          absl::StrCat("slab at ", absl::Hex(reinterpret_cast<uintptr_t>(slab)), ": ", what));
    });
    space_.ForEachSlab([this](const Slab& slab) { CheckSlab(slab); });
    space_.ForEachSlab([this](const Slab& slab) {
      if (slab.kind == internal::SlabKind::kRaw) return;
      ForEachBlock(slab, [this](Header* header) { CheckCounts(header); });
    });
    if (violations_.empty()) return absl::OkStatus();
    return absl::InternalError(absl::StrJoin(violations_, "\n"));
  }

 private:
  static constexpr size_t kMaxViolations = 8;

  static void OnEdge(Visitor& visitor, Edge& edge) {
    static_cast<Verification&>(visitor).CountEdge(edge);
  }

  template <typename... Parts>
  void Report(const Header* header, const Parts&... parts) {
    if (violations_.size() >= kMaxViolations) return;
    violations_.push_back(
        absl::StrCat("object at ", absl::Hex(reinterpret_cast<uintptr_t>(header)), ": ", parts...));
  }

  void CountEdge(const Edge& edge) {
    void* payload = internal::TargetOf(edge.Get());
    if (payload == nullptr) return;
    const Header* target = Header::Of(payload);
    if (!space_.IsObject(reinterpret_cast<uintptr_t>(target))) {
      Report(target, "an edge leads here, which is no object of this heap");
      return;
    }
    ++edges_[target];
  }

  void CheckSlab(const Slab& slab) {
    if (slab.kind == internal::SlabKind::kRaw) return;
    uint64_t live = 0;
    ForEachBlock(slab, [&](Header* header) {
      const Stage stage = header->GetStage();
      if (object::IsWaitingBlock(header)) ++live;
      if (stage == Stage::kFree) return;
      ++live;
      if (internal::IsTraced(slab.kind) == internal::IsLeafColour(header->Colour())) {
        Report(header, "has colour ", header->Colour(), " in a slab of the other kind");
      }
      if (stage != Stage::kLive && stage != Stage::kDying) {
        Report(header, "at rest in stage ", static_cast<int>(stage));
      } else if (internal::IsTraced(slab.kind)) {
        internal::TypeInfoOf(header)->trace(header->Payload(), *this);
        object::VisitHiddenEdge(header, *this);
      }
    });
    if (live != Space::UsedBlocks(slab) && violations_.size() < kMaxViolations) {
      violations_.push_back(absl::StrCat("slab at ", absl::Hex(reinterpret_cast<uintptr_t>(&slab)),
                                         " counts ", Space::UsedBlocks(slab),
                                         " blocks in use, headers say ", live));
    }
  }

  void CheckCounts(const Header* header) {
    if (header->GetStage() != Stage::kLive) return;
    const uint32_t local = header->Local(std::memory_order_acquire);
    const uint64_t word = header->Shared(std::memory_order_acquire);
    if ((word & (kImmortal | kSticky)) != 0) return;
    if ((word & kDead) != 0) Report(header, "DEAD in stage LIVE");
    int64_t heap = internal::SharedHeap(word);
    int64_t ext = internal::SharedExt(word);
    if ((word & kMerged) == 0) {
      heap += internal::LocalHeapOf(local);
      ext += internal::LocalExtOf(local);
    }
    const auto found = edges_.find(header);
    const int64_t edges = found == edges_.end() ? 0 : found->second;
    if (heap != edges) Report(header, heap, " edges counted, ", edges, " found");
    if (ext < 0 || heap + ext <= 0)
      Report(header, "counts ", ext, " + ", heap, " in a living object");
    if ((word & kQueued) == 0 && internal::SharedExt(word) < 0) {
      Report(header, "shared roots below zero, and not queued");
    }
  }

  const Space& space_;
  absl::flat_hash_map<const Header*, int64_t> edges_;
  std::vector<std::string> violations_;
};

}  // namespace

absl::Status Verify(const memory::Space& space, const memory::SlabBatch& quarantine) {
  return Verification(space).Run(quarantine);
}

}  // namespace reef::collector
