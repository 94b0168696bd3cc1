// The questions that the server answers about a graph.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_QUERIES_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_QUERIES_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "docs/examples/package_graph/graph.h"

namespace package_graph {

enum class QueryKind : uint8_t { kDependents, kPath, kComponent };
inline constexpr size_t kQueryKinds = 3;
const char* QueryName(QueryKind kind);

// A question about packages by their ids, so that it can be put to any load of the same text.
struct Query {
  QueryKind kind;
  uint32_t package;
  uint32_t target;  // kPath only
};

// A random one, about packages that are not virtual: who needs any of them, why one needs another,
// what is on cycles with what it needs.
Query RandomQuery(const Graph& graph, std::minstd_rand& random);

// Answers queries by breadth-first search. Holds the search's working memory, so that a query
// allocates nothing; one Searcher is for one thread.
// Answers are valid until the next call, and while the graph is held.
class Searcher {
 public:
  using Packages = std::span<const Package* const>;

  Packages Answer(const Graph& graph, const Query& query);

  // Everything that needs `package`, directly or not; itself first.
  Packages Dependents(const Graph& graph, const Package& package);
  // The shortest chain of dependencies between two packages, both included; empty if there is none.
  Packages Path(const Graph& graph, const Package& from, const Package& to);
  // The strongly connected component of `package`: it and all that need each other with it.
  Packages Component(const Graph& graph, const Package& package);

 private:
  void Begin(const Graph& graph);
  // True the first time in this search; appends the package to the queue then.
  bool Reach(const Package& package);

  std::vector<uint64_t> reached_;  // by package id: the search that came here last
  std::vector<const Package*> came_from_;
  std::vector<const Package*> queue_;
  std::vector<const Package*> path_;
  uint64_t search_ = 0;
};

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_QUERIES_H_
