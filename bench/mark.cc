// Mark rate: how fast the collector walks a heap of objects that all are reachable.
//
// Each object has 64 bytes and three edges. The first ones form a ring through all objects in
// random order; the others lead anywhere. So nearly every edge misses the cache.
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "bench/suite.h"

namespace bench {
namespace {

constexpr int kEdges = 3;

// `count` objects' worth of targets, the same for every subject.
template <typename Connect>
void RandomGraph(uint32_t count, const Connect& connect) {
  const std::vector<uint32_t> ring = Shuffled(count, 3);
  Random random(4);
  for (uint32_t i = 0; i < count; ++i) {
    connect(ring[i], 0, ring[(i + 1) % count]);
    for (int edge = 1; edge < kEdges; ++edge) connect(i, edge, random.Below(count));
  }
}

struct Managed {
  reef::Member<Managed> edges[kEdges];
  uint64_t words[3] = {};
  void Trace(reef::Visitor& visitor) const { visitor.Visit(edges[0], edges[1], edges[2]); }
};

class ManagedGraph {
 public:
  explicit ManagedGraph(uint32_t count) {
    auto heap = reef::Heap::Create({.automatic_collection = false});
    if (!heap.ok()) {
      std::fprintf(stderr, "%s\n", heap.status().ToString().c_str());
      std::exit(1);
    }
    heap_ = *std::move(heap);
    std::vector<reef::Ref<Managed>> objects(count);
    for (auto& object : objects) object = heap_->Make<Managed>();
    RandomGraph(count, [&](uint32_t from, int edge, uint32_t to) {
      objects[from]->edges[edge] = objects[to];
    });
    root_ = objects[0];
  }

  double Mark(uint64_t objects) const {
    const reef::CollectionReport report = heap_->Collect();
    const std::chrono::nanoseconds time = report.phase_time[static_cast<int>(reef::Phase::kMark)];
    return static_cast<double>(time.count()) / static_cast<double>(report.marked) *
           static_cast<double>(objects);
  }

 private:
  std::unique_ptr<reef::Heap> heap_;
  reef::Ref<Managed> root_;
};

// A rise means that an edge costs the marker more: one access to the target's header, whose line is
// not in the cache. Memory decides this row.
template <uint32_t kObjects>
double MarkManaged(uint64_t objects) {
  static const ManagedGraph graph(kObjects);
  return graph.Mark(objects);
}

struct Plain {
  uint64_t mark = 0;
  uint64_t header = 0;
  Plain* edges[kEdges] = {};
  uint64_t words[3] = {};
};

// The textbook's way over plain objects: a stack of those that are marked and not yet visited. If
// it moves, the machine did.
template <uint32_t kObjects>
double MarkPlain(uint64_t /*objects*/) {
  static const std::vector<Plain*> graph = [] {
    std::vector<Plain*> made(kObjects);
    for (Plain*& object : made) object = New<Plain, Mimalloc>();
    RandomGraph(kObjects,
                [&](uint32_t from, int edge, uint32_t to) { made[from]->edges[edge] = made[to]; });
    return made;
  }();
  const uint64_t black = graph[0]->mark + 1;
  const CpuTimer timer;
  graph[0]->mark = black;
  std::vector<Plain*> stack{graph[0]};
  while (!stack.empty()) {
    const Plain* object = stack.back();
    stack.pop_back();
    for (Plain* target : object->edges) {
      if (target->mark == black) continue;
      target->mark = black;
      stack.push_back(target);
    }
  }
  return timer.Elapsed();
}

}  // namespace

void AddMark(Suite& suite) {
  constexpr uint32_t kFew = 2'000'000;
  constexpr uint32_t kMany = 10'000'000;
  suite.push_back(Workload{.name = kMark, .operations = kFew}
                      .Add(Column::kReef, MarkManaged<kFew>)
                      .Add(Column::kMiNew, MarkPlain<kFew>));
  suite.push_back(
      Workload{.name = "mark, ten million objects", .operations = kMany, .in_table = false}
          .Add(Column::kReef, MarkManaged<kMany>)
          .Add(Column::kMiNew, MarkPlain<kMany>));
}

}  // namespace bench
