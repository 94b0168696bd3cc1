// Copy and drop of a handle to an object that stays alive.
#include <vector>

#include "bench/suite.h"

namespace bench {
namespace {

struct OwnerTag;
struct ForeignTag;

template <typename Handle>
double CopyDrop(const Handle& original, uint64_t operations) {
  Keep(&original);
  const CpuTimer timer;
  for (uint64_t i = 0; i < operations; ++i) {
    const Handle copy = original;
    Keep(&*copy);
  }
  return timer.Elapsed();
}

// A rise means a longer chain from one count to the next: each count is loaded right after it was
// stored, so latency decides, not the number of instructions.
template <typename Subject>
double Owner(uint64_t operations) {
  return CopyDrop(Subject::template Make<Words<OwnerTag>>(uint64_t{0}), operations);
}

// A rise without one in the row above means more instructions, or a larger span of memory: here the
// counts of different objects overlap.
template <typename Subject>
double OwnerOfMany(uint64_t operations) {
  using Object = Words<OwnerTag>;
  static const std::vector<uint32_t> order = Shuffled(1000, 2);
  std::vector<typename Subject::template Handle<Object>> originals;
  for (size_t i = 0; i < order.size(); ++i) originals.push_back(Subject::template Make<Object>(i));
  const CpuTimer timer;
  for (uint64_t done = 0; done < operations; done += order.size()) {
    for (const uint32_t i : order) {
      const auto copy = originals[i];
      Keep(&*copy);
    }
  }
  return timer.Elapsed();
}

// A rise means that a thread which is not the owner executes more than the two atomic instructions
// that any atomic count costs.
template <typename Subject>
double Foreign(uint64_t operations) {
  using Object = Words<ForeignTag>;
  using Handle = typename Subject::template Handle<Object>;
  const MadeElsewhere<Handle> object(
      +[]() -> Handle { return Subject::template Make<Object>(uint64_t{0}); });
  return CopyDrop(object.handle(), operations);
}

}  // namespace

void AddCopyDrop(Suite& suite) {
  suite.push_back(Workload{.name = kCopyDropOwner, .operations = 4'000'000}
                      .Add(Column::kReef, Owner<Reef>)
                      .Add(Column::kGlibcShared, Owner<Shared<Glibc>>)
                      .Add(Column::kMiPlain, Owner<Intrusive<Mimalloc, PlainCount>>)
                      .Add(Column::kMiAtomic, Owner<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, Owner<Shared<Mimalloc>>));
  suite.push_back(Workload{.name = kCopyDropOwnerMany, .operations = 2'000'000}
                      .Add(Column::kReef, OwnerOfMany<Reef>)
                      .Add(Column::kGlibcShared, OwnerOfMany<Shared<Glibc>>)
                      .Add(Column::kMiPlain, OwnerOfMany<Intrusive<Mimalloc, PlainCount>>)
                      .Add(Column::kMiAtomic, OwnerOfMany<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, OwnerOfMany<Shared<Mimalloc>>));
  suite.push_back(Workload{.name = kCopyDropForeign, .operations = 2'000'000}
                      .Add(Column::kReef, Foreign<Reef>)
                      .Add(Column::kGlibcShared, Foreign<Shared<Glibc>>)
                      .Add(Column::kMiAtomic, Foreign<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, Foreign<Shared<Mimalloc>>));
}

}  // namespace bench
