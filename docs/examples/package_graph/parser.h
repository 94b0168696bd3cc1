// Parses a whole package list with several threads.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_PARSER_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_PARSER_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "docs/examples/package_graph/stanzas.h"

namespace package_graph {

// Cuts the text where stanzas end, one part for each thread, and reads the parts at once. The
// result is in the order of the text, its line numbers are those of the text, and all of it points
// there.
std::vector<StanzaList> ParsePackageList(std::string_view text, int threads);

// The faults of all parts, in the order of the text.
std::vector<BadStanza> BadStanzas(const std::vector<StanzaList>& parts);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_PARSER_H_
