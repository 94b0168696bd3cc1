// The managed data: packages, their versions, and what depends on what.
//
//   Graph --> Package --> Version --> Dependency --> Alternative --> Package
//
// Every edge has its opposite, so each object of a graph is on a cycle and the graph as a whole is
// one knot: counting alone would never free any of it. A graph is built by several threads together
// and never changed after it has been published; any number of threads may then follow its edges
// freely, for as long as they hold a Ref to the Graph.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_GRAPH_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_GRAPH_H_

#include <cstdint>
#include <string>
#include <utility>

#include "docs/examples/package_graph/tally.h"
#include "reef/reef.h"

namespace package_graph {

struct Alternative;
struct Dependency;
struct Graph;
struct Version;

// A name that packages have or provide. One that no package has is virtual: it has no versions.
struct Package {
  explicit Package(std::string name_in) : name(std::move(name_in)) {}

  bool IsVirtual() const { return versions.empty(); }
  void Trace(reef::Visitor& v) const { v.Visit(graph, versions, providers, dependents); }

  uint32_t id = 0;  // its place in Graph::packages, for arrays beside the graph
  const std::string name;
  reef::Member<Graph> graph;
  reef::Vector<Version> versions;
  reef::Vector<Version> providers;       // whose Provides names this
  reef::Vector<Alternative> dependents;  // that name this
};

struct Version {
  explicit Version(std::string number_in) : number(std::move(number_in)) {}

  void Trace(reef::Visitor& v) const { v.Visit(package, dependencies, provides); }

  const std::string number;
  reef::Member<Package> package;
  reef::Vector<Dependency> dependencies;
  reef::Vector<Package> provides;
};

// One clause of Depends or Pre-Depends: any of its alternatives will do.
struct Dependency {
  void Trace(reef::Visitor& v) const { v.Visit(version, alternatives); }

  reef::Member<Version> version;
  reef::Vector<Alternative> alternatives;
};

struct Alternative {
  explicit Alternative(std::string constraint_in) : constraint(std::move(constraint_in)) {}

  void Trace(reef::Visitor& v) const { v.Visit(dependency, target); }

  const std::string constraint;  // such as ">= 2.34", or empty
  reef::Member<Dependency> dependency;
  reef::Member<Package> target;
};

struct Graph {
  explicit Graph(GraphTally& tally_in) : tally(tally_in) {}
  ~Graph() { tally.CountReclaimed(dropped_at); }

  void Trace(reef::Visitor& v) const { v.Visit(packages); }

  GraphTally& tally;
  GraphTally::Stamp dropped_at;  // set when the server lets go of it
  uint32_t dependencies = 0;
  uint32_t virtual_packages = 0;
  reef::Vector<Package> packages;
};

// Calls `visit` with each package that `package` needs directly: named, or providing what is named.
// May repeat a package.
template <typename Visit>
void ForEachDependency(const Package& package, Visit visit) {
  for (const auto& version : package.versions) {
    for (const auto& dependency : version->dependencies) {
      for (const auto& alternative : dependency->alternatives) {
        const Package& target = *alternative->target;
        if (!target.IsVirtual()) visit(target);
        for (const auto& provider : target.providers) visit(*provider->package);
      }
    }
  }
}

// The opposite direction: calls `visit` with each package that needs `package` directly.
template <typename Visit>
void ForEachDependent(const Package& package, Visit visit) {
  const auto visit_users = [&visit](const Package& name) {
    for (const auto& use : name.dependents) visit(*use->dependency->version->package);
  };
  visit_users(package);
  for (const auto& version : package.versions) {
    for (const auto& provided : version->provides) visit_users(*provided);
  }
}

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_GRAPH_H_
