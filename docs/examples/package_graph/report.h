// What a run says about itself: when the graph is loaded, while it serves, and in the end.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_REPORT_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_REPORT_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "docs/examples/package_graph/graph.h"
#include "docs/examples/package_graph/sampler.h"
#include "docs/examples/package_graph/server.h"
#include "docs/examples/package_graph/stanzas.h"
#include "reef/reef.h"

namespace package_graph {

// The end of a run: the server has stopped, and then lets go of the last graph.
struct Ending {
  absl::Status verified;                    // the heap's check of every count, before the last drop
  reef::HeapStats before;                   // one graph is left
  reef::HeapStats after;                    // nothing should be left
  std::chrono::nanoseconds collect_time{};  // how long that Collect took
  std::chrono::nanoseconds dropped_at{};    // by the sampler's clock
};

// Every fault of the input, a line each on stderr.
void PrintBadStanzas(const std::string& input_name, const std::vector<BadStanza>& bad);

// An impressive answer of each kind, so that one sees what the figures are about. `probes` offers
// the paths to choose from.
void PrintExamples(const Graph& graph, const std::vector<Probe>& probes);

void PrintQueries(const QueryStats& stats, std::chrono::nanoseconds served);
void PrintGraphs(const ReloadStats& reloads, const GraphTally& tally,
                 int64_t reclaimed_while_serving, const std::vector<Sample>& samples);
// The collections between two looks at the heap.
void PrintCollections(const reef::HeapStats& before, const reef::HeapStats& after);
void PrintMemory(const std::vector<Sample>& samples, std::chrono::nanoseconds last_drop);
// True if all is well: the counts were right, every graph was reclaimed, and nothing is left.
bool PrintEnding(const Ending& ending, const GraphTally& tally);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_REPORT_H_
