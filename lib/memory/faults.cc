// What can be wrong with a space at rest: lists, chains of free blocks, bitmaps, accounting.
#include <bit>
#include <vector>

#include "lib/memory/space.h"

namespace reef::memory {
namespace {

using internal::Header;
using internal::kPinned;
using internal::kRemoteFull;
using internal::kSlabsPerSegment;
using internal::LinkOf;
using internal::RemoteCount;
using internal::Slab;

bool IsFull(const Slab& slab) { return slab.remote.load(std::memory_order_acquire) == kRemoteFull; }
uint32_t UsedOf(const Slab& slab) {
  return slab.used.load(std::memory_order_relaxed) & (kPinned - 1);
}

}  // namespace

// One look at the whole space.
class Space::FaultFinder {
 public:
  FaultFinder(const Space& space, const FaultFunction& report)
      : space_(space),
        report_(report),
        segments_(space.high_.load(std::memory_order_acquire)),
        listed_(size_t{segments_} * kSlabsPerSegment + 1) {}

  void Run(const SlabBatch& quarantine) {
    WalkLists(quarantine);
    space_.ForEachSlab([this](const Slab& slab) {
      if (slab.run_slabs == 0) {
        CheckPlace(slab);
        CheckChains(slab);
      } else if ((UsedOf(slab) == 0) != IsListed(slab)) {
        report_("a run is on no list though free, or listed though in use", &slab);
      }
    });
    CheckBits();
  }

 private:
  bool IsListed(const Slab& slab) const { return listed_[NumberOf(space_.base_, &slab)]; }

  // Calls `check(slab)`, which says what is wrong or null, for each slab of the list.
  template <typename Check>
  void WalkList(const Slab* slab, Check check) {
    for (; slab != nullptr; slab = NextOf(space_.base_, slab)) {
      const uint32_t number = NumberOf(space_.base_, slab);
      if (number >= listed_.size()) return report_("a list leads out of the segments in use", slab);
      if (listed_[number]) return report_("a slab is listed twice, or a list is a circle", slab);
      listed_[number] = true;
      if (const char* what =
              !slab->formatted ? "a slab without a layout is listed" : check(*slab)) {
        report_(what, slab);
      }
    }
  }

  void WalkLists(const SlabBatch& quarantine) {
    for (int kind = 0; kind < internal::kKinds; ++kind) {
      const auto is_kind = [kind](const Slab& slab) { return static_cast<int>(slab.kind) == kind; };
      for (int size_class = 0; size_class < internal::kClasses; ++size_class) {
        WalkList(space_.available_[kind][size_class].First(space_.base_), [&](const Slab& slab) {
          const bool right = slab.run_slabs == 0 && is_kind(slab) && slab.size_class == size_class;
          return right ? nullptr : "a slab is listed as available for another class or kind";
        });
      }
      for (uint32_t length = 0; length < kSlabsPerSegment; ++length) {
        WalkList(space_.runs_[kind][length].First(space_.base_), [&](const Slab& slab) {
          return slab.run_slabs == length && is_kind(slab)
                     ? nullptr
                     : "a freed run is listed for another length or kind";
        });
      }
    }
    const auto anything = [](const Slab& /*slab*/) -> const char* { return nullptr; };
    WalkList(space_.odd_runs_.First(space_.base_), anything);
    WalkList(quarantine.first, [](const Slab& slab) {
      return UsedBlocks(slab) == 0 ? nullptr : "a slab in quarantine has blocks in use";
    });
  }

  // A slab of a class is at exactly one place.
  void CheckPlace(const Slab& slab) {
    const bool owned = slab.owner.load(std::memory_order_relaxed) != 0;
    const int places = (owned ? 1 : 0) + (IsFull(slab) ? 1 : 0) + (IsListed(slab) ? 1 : 0);
    if (places == 0) report_("a slab is nobody's, not full and on no list", &slab);
    if (places > 1) report_("a slab is at two places: owned, full or listed", &slab);
    if (IsFull(slab) && UsedOf(slab) != slab.capacity) {
      report_("a slab is FULL and has blocks to give", &slab);
    }
  }

  // The length of a chain of free blocks.
  uint32_t CheckChain(const Slab& slab, void* block) {
    uint32_t length = 0;
    for (; block != nullptr; block = LinkOf(block, slab.link_offset)) {
      if (internal::SlabOf(block) != &slab || !space_.IsBlock(reinterpret_cast<uintptr_t>(block))) {
        report_("a chain of free blocks leads out of its slab, or between blocks", &slab);
        return length;
      }
      if (slab.kind != SlabKind::kRaw &&
          static_cast<Header*>(block)->GetStage() != internal::Stage::kFree) {
        report_("a block is free by a chain and in use by its header", &slab);
        return length;
      }
      if (++length > slab.capacity) {
        report_("a chain of free blocks is a circle", &slab);
        return length;
      }
    }
    return length;
  }

  void CheckChains(const Slab& slab) {
    const uint32_t carved = slab.carved.load(std::memory_order_acquire);
    if (CheckChain(slab, slab.free) + UsedOf(slab) != carved) {
      report_("free and used blocks are not those that were cut", &slab);
    }
    const uint64_t remote = slab.remote.load(std::memory_order_acquire);
    if (remote == kRemoteFull) return;
    const uint32_t returned =
        CheckChain(slab, reinterpret_cast<void*>(remote & internal::kLinkMask));
    if (returned != RemoteCount(remote)) {
      report_("other threads returned another number of blocks than is counted", &slab);
    }
    if (returned > UsedOf(slab)) report_("more blocks were returned than were in use", &slab);
  }

  void CheckBits() {
    uint64_t committed = 0;
    std::vector<uint64_t> laid_out(segments_);  // slabs with a layout
    space_.ForEachSlab([&](const Slab& slab) {
      const uint32_t slabs = slab.run_slabs == 0 ? 1 : slab.run_slabs;
      if (slab.run_slabs == 0 || !slab.clean) committed += slabs;
      if (slabs >= kSlabsPerSegment) return;
      const internal::Segment* segment = internal::SegmentOf(&slab);
      const uint64_t bits = ((uint64_t{1} << slabs) - 1) << (&slab - segment->slabs);
      if ((laid_out[segment->index] & bits) != 0) report_("two layouts share a slab", &slab);
      laid_out[segment->index] |= bits;
    });
    for (uint32_t i = 0; i < segments_; ++i) {
      if (space_.use_[i].load(std::memory_order_acquire) != SegmentUse::kSlabs) continue;
      const Slab* first = &space_.SegmentAt(i)->slabs[0];
      const uint64_t free = space_.free_[i].load(std::memory_order_acquire);
      const uint64_t dirty = space_.dirty_[i].load(std::memory_order_relaxed);
      const uint64_t summary = space_.summary_[i / 64].load(std::memory_order_acquire);
      committed += static_cast<uint64_t>(std::popcount(dirty));
      if ((free & laid_out[i]) != 0) report_("a slab is in the supply and has a layout", first);
      if ((free | laid_out[i] | 1) != ~uint64_t{0}) {
        report_("a slab has no layout and is not in the supply", first);
      }
      if ((dirty & ~free) != 0) report_("a slab is dirty and not in the supply", first);
      if (free != 0 && (summary >> (i % 64) & 1) == 0) {
        report_("a segment with free slabs is not in the summary", first);
      }
    }
    if (committed != space_.committed_.load(std::memory_order_relaxed)) {
      report_("the slabs that have memory are not as many as are counted", nullptr);
    }
  }

  const Space& space_;
  const FaultFunction& report_;
  const uint32_t segments_;
  std::vector<bool> listed_;  // by number
};

void Space::FindFaults(const SlabBatch& quarantine, const FaultFunction& report) const {
  FaultFinder(*this, report).Run(quarantine);
}

}  // namespace reef::memory
