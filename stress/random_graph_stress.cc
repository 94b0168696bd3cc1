// A large random graph, changed by threads that end and begin, under collections; an oracle
// compares after each epoch what lives with what must live.

#include <cstdint>
#include <memory>

#include "reef/reef.h"
#include "stress/oracle.h"
#include "stress/program.h"

namespace reef::stress {
namespace {

int Run(int argc, char** argv) {
  Program program("random_graph_stress", argc, argv);
  HeapOptions heap_options = EagerOptions();
  heap_options.marker_threads = program.seed() % 2 == 0 ? 1 : 3;
  const std::unique_ptr<Heap> heap = NewHeap(heap_options);
  {
    Oracle::Options options;
    options.threads = program.threads();
    options.objects = kSlowBuild ? 20'000 : 200'000;
    options.most_roots = 1000;
    options.steps = kSlowBuild ? 10'000 : 150'000;
    Oracle oracle(*heap, options, program.seed());
    for (uint64_t epoch = 1; program.Running(); ++epoch) {
      oracle.RunEpoch(/*collect_constantly=*/epoch % 2 == 0);
      const bool drop_all = epoch % 10 == 0;
      if (drop_all) oracle.DropAllRoots();
      program.Require(oracle.Check());
      program.Expect(!drop_all || oracle.live() == 0, "no object lives without a root");
      program.Progress("epoch", epoch, "live", oracle.live(), "died", oracle.died(), "collections",
                       heap->Stats().collections);
    }
    oracle.DropAllRoots();
    program.Require(oracle.Check());
  }
  return program.Finish(*heap);
}

}  // namespace
}  // namespace reef::stress

int main(int argc, char** argv) { return reef::stress::Run(argc, argv); }
