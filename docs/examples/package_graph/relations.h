// Dependency fields: "a (>= 2) | b, c" taken apart into plain records that point into the text.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_RELATIONS_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_RELATIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace package_graph {

// A stretch of one of the vectors below.
struct Range {
  uint32_t begin = 0;
  uint32_t end = 0;
};

struct ParsedAlternative {
  std::string_view name;
  std::string_view constraint;  // such as ">= 2.34", or empty
};

// The clauses of many fields, one after the other.
struct Relations {
  std::vector<Range> clauses;  // of alternatives
  std::vector<ParsedAlternative> alternatives;
};

struct RelationError {
  size_t offset;  // in the field
  std::string reason;
};

// Appends the clauses of one field to `out`. After an error `out` holds a part of them.
// Architectures and build profiles ("a:any [amd64] <!nocheck>") are accepted and passed over.
std::optional<RelationError> ParseRelations(std::string_view field, Relations& out);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_RELATIONS_H_
