#include "docs/examples/package_graph/loader.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "docs/examples/package_graph/names.h"
#include "docs/examples/package_graph/parallel.h"

namespace package_graph {
namespace {

// One thread's share: the versions of one part, and what they depend on and provide. It meets the
// others at the packages.
class PartBuilder {
 public:
  PartBuilder(reef::Heap& heap, NameTable& names, const StanzaList& list)
      : heap_(heap), names_(names), list_(list) {}

  void Build() {
    for (const ParsedStanza& stanza : list_.stanzas) Add(stanza);
  }
  uint32_t dependencies() const { return dependencies_; }

 private:
  void Add(const ParsedStanza& stanza) {
    const reef::Ref<Version> version = heap_.Make<Version>(std::string(stanza.version));
    version->package =
        names_.Find(stanza.package, [&](Package& package) { package.versions.push_back(version); });
    AddDependencies(stanza.depends, version);
    AddProvided(stanza.provides, version);
  }

  void AddDependencies(Range clauses, const reef::Ref<Version>& version) {
    version->dependencies.reserve(clauses.end - clauses.begin);
    for (uint32_t i = clauses.begin; i < clauses.end; ++i) {
      reef::Ref<Dependency> dependency = heap_.Make<Dependency>();
      dependency->version = version;
      AddAlternatives(list_.depends.clauses[i], dependency);
      version->dependencies.push_back(std::move(dependency));
    }
    dependencies_ += clauses.end - clauses.begin;
  }

  void AddAlternatives(Range range, const reef::Ref<Dependency>& dependency) {
    dependency->alternatives.reserve(range.end - range.begin);
    for (uint32_t i = range.begin; i < range.end; ++i) {
      const ParsedAlternative& parsed = list_.depends.alternatives[i];
      reef::Ref<Alternative> alternative = heap_.Make<Alternative>(std::string(parsed.constraint));
      alternative->dependency = dependency;
      alternative->target = names_.Find(
          parsed.name, [&](Package& target) { target.dependents.push_back(alternative); });
      dependency->alternatives.push_back(std::move(alternative));
    }
  }

  void AddProvided(Range range, const reef::Ref<Version>& version) {
    version->provides.reserve(range.end - range.begin);
    for (uint32_t i = range.begin; i < range.end; ++i) {
      version->provides.push_back(
          names_.Find(list_.provides.alternatives[i].name,
                      [&](Package& provided) { provided.providers.push_back(version); }));
    }
  }

  reef::Heap& heap_;
  NameTable& names_;
  const StanzaList& list_;
  uint32_t dependencies_ = 0;
};

// Numbers the packages and puts them into their graph.
void Enter(std::vector<reef::Ref<Package>> packages, const reef::Ref<Graph>& graph) {
  graph->packages.reserve(packages.size());
  for (reef::Ref<Package>& package : packages) {
    package->id = static_cast<uint32_t>(graph->packages.size());
    package->graph = graph;
    if (package->IsVirtual()) ++graph->virtual_packages;
    graph->packages.push_back(std::move(package));
  }
}

}  // namespace

reef::Ref<Graph> BuildGraph(reef::Heap& heap, const std::vector<StanzaList>& parts,
                            GraphTally& tally) {
  reef::Ref<Graph> graph = heap.Make<Graph>(tally);
  tally.CountMade();
  size_t stanzas = 0;
  for (const StanzaList& part : parts) stanzas += part.stanzas.size();
  NameTable names(heap, stanzas + stanzas / 2);  // most are packages, the rest virtual
  std::deque<PartBuilder> builders;
  for (const StanzaList& part : parts) builders.emplace_back(heap, names, part);
  RunOnThreads(builders.size(), [&builders](size_t i) { builders[i].Build(); });
  for (const PartBuilder& builder : builders) graph->dependencies += builder.dependencies();
  Enter(names.TakeAll(), graph);
  return graph;
}

}  // namespace package_graph
