// Make and drop of an object with a payload of 32 bytes.
//
// One other object of the same size stays alive throughout: without it mimalloc would give its page
// back at every single drop, which is a cost that few programs have.
#include <memory>
#include <vector>

#include "bench/suite.h"

namespace bench {
namespace {

struct LifoTag;
struct BatchTag;

// A rise means that birth, death of a leaf or the slab's free list has become longer: these are
// some 40 instructions in all, each of which shows.
template <typename Subject>
double OneAtATime(uint64_t operations) {
  using Object = Words<LifoTag>;
  const auto pin = Subject::template Make<Object>(uint64_t{0});
  const CpuTimer timer;
  for (uint64_t i = 0; i < operations; ++i) {
    const auto handle = Subject::template Make<Object>(i);
    Keep(&*handle);
  }
  return timer.Elapsed();
}

// A rise without one in the row above means that the blocks lie less densely, or that the slab's
// own line is touched more often: the batch does not fit the first-level cache.
template <typename Subject>
double Batches(uint64_t operations) {
  using Object = Words<BatchTag>;
  using Handle = typename Subject::template Handle<Object>;
  static const std::vector<uint32_t> order = Shuffled(1000, 1);
  const auto pin = Subject::template Make<Object>(uint64_t{0});
  const std::unique_ptr<std::byte[]> room(new std::byte[order.size() * sizeof(Handle)]);
  Handle* const handles = reinterpret_cast<Handle*>(room.get());
  const CpuTimer timer;
  for (uint64_t done = 0; done < operations; done += order.size()) {
    for (size_t i = 0; i < order.size(); ++i) {
      ::new (static_cast<void*>(handles + i)) Handle(Subject::template Make<Object>(i));
      Keep(&*handles[i]);
    }
    for (const uint32_t i : order) std::destroy_at(handles + i);
  }
  return timer.Elapsed();
}

}  // namespace

void AddMakeDrop(Suite& suite) {
  suite.push_back(Workload{.name = kMakeDropLifo, .operations = 2'000'000}
                      .Add(Column::kReef, OneAtATime<Reef>)
                      .Add(Column::kGlibcNew, OneAtATime<Unique<Glibc>>)
                      .Add(Column::kGlibcShared, OneAtATime<Shared<Glibc>>)
                      .Add(Column::kMiNew, OneAtATime<Unique<Mimalloc>>)
                      .Add(Column::kMiPlain, OneAtATime<Intrusive<Mimalloc, PlainCount>>)
                      .Add(Column::kMiAtomic, OneAtATime<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, OneAtATime<Shared<Mimalloc>>));
  suite.push_back(Workload{.name = kMakeDropBatch, .operations = 2'000'000}
                      .Add(Column::kReef, Batches<Reef>)
                      .Add(Column::kGlibcNew, Batches<Unique<Glibc>>)
                      .Add(Column::kGlibcShared, Batches<Shared<Glibc>>)
                      .Add(Column::kMiNew, Batches<Unique<Mimalloc>>)
                      .Add(Column::kMiPlain, Batches<Intrusive<Mimalloc, PlainCount>>)
                      .Add(Column::kMiAtomic, Batches<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, Batches<Shared<Mimalloc>>));
}

}  // namespace bench
