// Store into an edge: a field of one object is pointed from one object to another.
#include <concepts>
#include <vector>

#include "bench/suite.h"

namespace bench {
namespace {

struct TargetTag;
using Target = Words<TargetTag>;

template <typename Subject>
struct Holder {
  typename Subject::template Edge<Target> field{};
  void Trace(reef::Visitor& visitor) const
    requires std::same_as<Subject, Reef>
  {
    visitor.Visit(field);
  }
};

// A rise means a longer bracket: the new target is counted up, the old one down, and the
// collector's mode is looked at in between. While a collection runs, expect more.
template <typename Subject>
double Store(uint64_t operations) {
  constexpr size_t kTargets = 16;
  std::vector<typename Subject::template Handle<Target>> targets;
  for (size_t i = 0; i < kTargets; ++i) targets.push_back(Subject::template Make<Target>(i));
  const auto holder = Subject::template Make<Holder<Subject>>();
  const CpuTimer timer;
  for (uint64_t i = 0; i < operations; ++i) {
    holder->field = targets[i % kTargets];
    Keep(&*holder);
  }
  return timer.Elapsed();
}

}  // namespace

void AddMemberStore(Suite& suite) {
  suite.push_back(Workload{.name = kMemberStore, .operations = 2'000'000}
                      .Add(Column::kReef, Store<Reef>)
                      .Add(Column::kGlibcShared, Store<Shared<Glibc>>)
                      .Add(Column::kMiPlain, Store<Intrusive<Mimalloc, PlainCount>>)
                      .Add(Column::kMiAtomic, Store<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, Store<Shared<Mimalloc>>));
}

}  // namespace bench
