// Where the package descriptions come from.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_INPUT_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_INPUT_H_

#include <string>

#include "absl/status/statusor.h"

namespace package_graph {

struct Input {
  std::string name;  // for people: a path, or the command that printed the text
  std::string text;
};

// The file at `path`, or, where it is empty, everything that the distribution offers: what
// `apt-cache dumpavail` prints, else what is installed (/var/lib/dpkg/status).
// Errors, each with a message fit to be shown: no such file, a directory, an empty or binary file.
absl::StatusOr<Input> ReadInput(const std::string& path);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_INPUT_H_
