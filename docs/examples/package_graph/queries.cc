#include "docs/examples/package_graph/queries.h"

#include <algorithm>

namespace package_graph {
namespace {

template <typename T>
T& AnyOf(const reef::Vector<T>& vector, std::minstd_rand& random) {
  return *vector[random() % vector.size()];
}

const Package& RandomPackage(const Graph& graph, std::minstd_rand& random) {
  const Package* package = &AnyOf(graph.packages, random);
  // Ends: a graph is made of at least one stanza.
  while (package->IsVirtual()) package = &AnyOf(graph.packages, random);
  return *package;
}

// Where a few random steps along dependencies lead: mostly to what many packages need.
const Package& RandomWalk(const Package& from, std::minstd_rand& random) {
  constexpr int kSteps = 12;
  const Package* at = &from;
  for (int step = 0; step < kSteps; ++step) {
    const Version& version = AnyOf(at->versions, random);
    if (version.dependencies.empty()) break;
    const Dependency& dependency = AnyOf(version.dependencies, random);
    const Package& target = *AnyOf(dependency.alternatives, random).target;
    if (!target.IsVirtual()) {
      at = &target;
    } else if (!target.providers.empty()) {
      at = AnyOf(target.providers, random).package.get();
    }
  }
  return *at;
}

}  // namespace

const char* QueryName(QueryKind kind) {
  switch (kind) {
    case QueryKind::kDependents:
      return "all that need a package";
    case QueryKind::kPath:
      return "shortest path";
    case QueryKind::kComponent:
      return "strongly connected";
  }
  return "";
}

Query RandomQuery(const Graph& graph, std::minstd_rand& random) {
  const auto kind = static_cast<QueryKind>(random() % kQueryKinds);
  const Package& package = RandomPackage(graph, random);
  const Package& needed = RandomWalk(package, random);
  switch (kind) {
    case QueryKind::kDependents:
      return {kind, package.id, 0};
    case QueryKind::kPath:
      return {kind, package.id, needed.id};
    case QueryKind::kComponent:
      return {kind, needed.id, 0};
  }
  return {};
}

Searcher::Packages Searcher::Answer(const Graph& graph, const Query& query) {
  const Package& package = *graph.packages[query.package];
  switch (query.kind) {
    case QueryKind::kDependents:
      return Dependents(graph, package);
    case QueryKind::kPath:
      return Path(graph, package, *graph.packages[query.target]);
    case QueryKind::kComponent:
      return Component(graph, package);
  }
  return {};
}

Searcher::Packages Searcher::Dependents(const Graph& graph, const Package& package) {
  Begin(graph);
  Reach(package);
  for (size_t next = 0; next < queue_.size(); ++next) {
    ForEachDependent(*queue_[next], [this](const Package& dependent) { Reach(dependent); });
  }
  return queue_;
}

Searcher::Packages Searcher::Path(const Graph& graph, const Package& from, const Package& to) {
  Begin(graph);
  path_.clear();
  Reach(from);
  bool is_found = &from == &to;
  for (size_t next = 0; next < queue_.size() && !is_found; ++next) {
    const Package* package = queue_[next];
    ForEachDependency(*package, [&](const Package& needed) {
      if (!Reach(needed)) return;
      came_from_[needed.id] = package;
      if (&needed == &to) is_found = true;
    });
  }
  if (!is_found) return {};
  for (const Package* package = &to; package != &from; package = came_from_[package->id]) {
    path_.push_back(package);
  }
  path_.push_back(&from);
  std::reverse(path_.begin(), path_.end());
  return path_;
}

// What `package` needs, cut with what needs `package`. The first set is mostly small, so the second
// search stays inside it and is never worse.
Searcher::Packages Searcher::Component(const Graph& graph, const Package& package) {
  Begin(graph);
  Reach(package);
  for (size_t next = 0; next < queue_.size(); ++next) {
    ForEachDependency(*queue_[next], [this](const Package& needed) { Reach(needed); });
  }
  const uint64_t needed_by_package = search_;
  Begin(graph);
  Reach(package);
  for (size_t next = 0; next < queue_.size(); ++next) {
    ForEachDependent(*queue_[next], [&](const Package& dependent) {
      if (reached_[dependent.id] == needed_by_package) Reach(dependent);
    });
  }
  return queue_;
}

void Searcher::Begin(const Graph& graph) {
  if (reached_.size() < graph.packages.size()) {
    reached_.resize(graph.packages.size());
    came_from_.resize(graph.packages.size());
    // As large as they can get: a search never waits for memory.
    queue_.reserve(graph.packages.size());
    path_.reserve(graph.packages.size());
  }
  queue_.clear();
  ++search_;
}

bool Searcher::Reach(const Package& package) {
  if (reached_[package.id] == search_) return false;
  reached_[package.id] = search_;
  queue_.push_back(&package);
  return true;
}

}  // namespace package_graph
