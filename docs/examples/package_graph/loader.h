// Builds the managed graph from parsed package lists.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_LOADER_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_LOADER_H_

#include <vector>

#include "docs/examples/package_graph/graph.h"
#include "docs/examples/package_graph/stanzas.h"
#include "docs/examples/package_graph/tally.h"
#include "reef/reef.h"

namespace package_graph {

// The graph copies what it needs: the parsed text may go afterwards. The same parts give the same
// graph each time, with the same package ids. `tally` outlives `heap`.
// Throws reef::OutOfMemory; what was built until then is garbage, and reclaimed as such.
reef::Ref<Graph> BuildGraph(reef::Heap& heap, const std::vector<StanzaList>& parts,
                            GraphTally& tally);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_LOADER_H_
