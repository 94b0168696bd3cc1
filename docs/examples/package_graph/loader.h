// Builds the managed graph from parsed package lists, with one thread for each part: they allocate
// on one heap, and link what they have made into one structure.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_LOADER_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_LOADER_H_

#include <vector>

#include "docs/examples/package_graph/graph.h"
#include "docs/examples/package_graph/stanzas.h"
#include "docs/examples/package_graph/tally.h"
#include "reef/reef.h"

namespace package_graph {

// The parts are those of one text. The graph copies what it needs: text and parts may go
// afterwards. The same text gives the same graph each time, with the same package ids, in however
// many parts; but for the order of the edges that several parts add to one package. `tally`
// outlives `heap`. Throws reef::OutOfMemory; what was built until then is garbage, and reclaimed as
// such.
reef::Ref<Graph> BuildGraph(reef::Heap& heap, const std::vector<StanzaList>& parts,
                            GraphTally& tally);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_LOADER_H_
