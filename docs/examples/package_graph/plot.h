// Draws memory over time with characters.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_PLOT_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_PLOT_H_

#include <chrono>
#include <string>
#include <vector>

#include "docs/examples/package_graph/sampler.h"

namespace package_graph {

// Some lines of text: what the heap held resident, and of that what objects took. `drop`: the
// moment to mark below the axis.
std::string PlotMemory(const std::vector<Sample>& samples, std::chrono::nanoseconds drop);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_PLOT_H_
