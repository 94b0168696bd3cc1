#include "docs/examples/package_graph/loader.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace package_graph {
namespace {

class GraphBuilder {
 public:
  GraphBuilder(reef::Heap& heap, GraphTally& tally) : heap_(heap), graph_(heap.Make<Graph>(tally)) {
    tally.CountMade();
  }

  void ReserveNames(size_t names) {
    names_.reserve(names);
    graph_->packages.reserve(names);
  }

  void Add(const StanzaList& list, const ParsedStanza& stanza) {
    const reef::Ref<Package>& package = Named(stanza.package);
    reef::Ref<Version> version = heap_.Make<Version>(std::string(stanza.version));
    version->package = package;
    package->versions.push_back(version);
    AddDependencies(list, stanza.depends, version);
    AddProvided(list, stanza.provides, version);
  }

  reef::Ref<Graph> Finish() {
    for (const auto& package : graph_->packages) {
      if (package->IsVirtual()) ++graph_->virtual_packages;
    }
    return std::move(graph_);
  }

 private:
  // The package of that name, made on first sight. The result stays valid until the next call.
  const reef::Ref<Package>& Named(std::string_view name) {
    reef::Ref<Package>& package = names_[name];
    if (!package) {
      const auto id = static_cast<uint32_t>(graph_->packages.size());
      package = heap_.Make<Package>(id, std::string(name));
      package->graph = graph_;
      graph_->packages.push_back(package);
    }
    return package;
  }

  void AddDependencies(const StanzaList& list, Range clauses, const reef::Ref<Version>& version) {
    version->dependencies.reserve(clauses.end - clauses.begin);
    for (uint32_t i = clauses.begin; i < clauses.end; ++i) {
      reef::Ref<Dependency> dependency = heap_.Make<Dependency>();
      dependency->version = version;
      AddAlternatives(list, list.depends.clauses[i], dependency);
      version->dependencies.push_back(std::move(dependency));
    }
    graph_->dependencies += clauses.end - clauses.begin;
  }

  void AddAlternatives(const StanzaList& list, Range range,
                       const reef::Ref<Dependency>& dependency) {
    dependency->alternatives.reserve(range.end - range.begin);
    for (uint32_t i = range.begin; i < range.end; ++i) {
      const ParsedAlternative& parsed = list.depends.alternatives[i];
      reef::Ref<Alternative> alternative = heap_.Make<Alternative>(std::string(parsed.constraint));
      const reef::Ref<Package>& target = Named(parsed.name);
      alternative->dependency = dependency;
      alternative->target = target;
      target->dependents.push_back(alternative);
      dependency->alternatives.push_back(std::move(alternative));
    }
  }

  void AddProvided(const StanzaList& list, Range range, const reef::Ref<Version>& version) {
    version->provides.reserve(range.end - range.begin);
    for (uint32_t i = range.begin; i < range.end; ++i) {
      const reef::Ref<Package>& provided = Named(list.provides.alternatives[i].name);
      provided->providers.push_back(version);
      version->provides.push_back(provided);
    }
  }

  reef::Heap& heap_;
  reef::Ref<Graph> graph_;
  absl::flat_hash_map<std::string_view, reef::Ref<Package>> names_;  // keys lie in the parsed text
};

}  // namespace

reef::Ref<Graph> BuildGraph(reef::Heap& heap, const std::vector<StanzaList>& parts,
                            GraphTally& tally) {
  GraphBuilder builder(heap, tally);
  size_t stanzas = 0;
  for (const StanzaList& part : parts) stanzas += part.stanzas.size();
  builder.ReserveNames(stanzas + stanzas / 2);  // most are packages, the rest virtual
  for (const StanzaList& part : parts) {
    for (const ParsedStanza& stanza : part.stanzas) builder.Add(part, stanza);
  }
  return builder.Finish();
}

}  // namespace package_graph
