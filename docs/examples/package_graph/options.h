// The command line.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_OPTIONS_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"

namespace package_graph {

struct Options {
  int seconds = 8;
  int workers = 0;  // 0: one for each core but one
  bool wants_help = false;
  std::string file;  // empty: what the distribution offers
};

extern const char kUsage[];

// InvalidArgument, with one line to show, if something is wrong with the arguments.
absl::StatusOr<Options> ParseOptions(int argc, char** argv);

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_OPTIONS_H_
