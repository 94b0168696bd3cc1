// Reads stanzas, the paragraphs of a package list: fields of "Name: value" lines, long values
// folded onto lines that begin with a space, an empty line after each stanza.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_STANZAS_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_STANZAS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "docs/examples/package_graph/relations.h"

namespace package_graph {

struct ParsedStanza {
  std::string_view package;
  std::string_view version;
  Range depends;   // of StanzaList::depends.clauses; Pre-Depends and Depends together
  Range provides;  // of StanzaList::provides.alternatives
};

struct BadStanza {
  size_t line;  // counted from 1
  std::string reason;
};

// All of it points into the text that was read.
struct StanzaList {
  std::vector<ParsedStanza> stanzas;
  Relations depends;
  Relations provides;
  std::vector<BadStanza> bad;  // these are not among `stanzas`
  size_t lines = 0;
  size_t named = 0;  // stanzas with a Package field, good or bad
};

// Never fails: what cannot be understood is in `bad`, each stanza with its first fault.
StanzaList ReadStanzas(std::string_view text);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_STANZAS_H_
