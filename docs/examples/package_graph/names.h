// The packages of a graph that is being built, by name, for threads that build it together: who
// names a package that another thread has named gets the same one.
//
// The table is cut into shards by the names' hash, each with a lock, which is the lock of its
// packages as well: while the graph is built, a package is changed under it only.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_NAMES_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_NAMES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "docs/examples/package_graph/graph.h"
#include "reef/reef.h"

namespace package_graph {

class NameTable {
 public:
  NameTable(reef::Heap& heap, size_t names) : heap_(heap) {
    for (Shard& shard : shards_) shard.entries.reserve(names / kShards);
  }

  // From any thread: the package of that name, made on first sight. Calls change(*package), which
  // has it to itself meanwhile. All names lie in one text, which outlives the table.
  template <typename Change>
  reef::Ref<Package> Find(std::string_view name, Change change) {
    Shard& shard = shards_[std::hash<std::string_view>()(name) % kShards];
    const std::lock_guard<std::mutex> lock(shard.mutex);
    Entry& entry = shard.entries[name];
    if (!entry.package) entry.package = heap_.Make<Package>(std::string(name));
    if (entry.first == nullptr || name.data() < entry.first) entry.first = name.data();
    change(*entry.package);
    return entry.package;
  }

  // When no thread uses it any more: all packages, in the order in which the text first names them,
  // whichever thread came to it first. The table is empty then.
  std::vector<reef::Ref<Package>> TakeAll() {
    std::vector<Entry> all;
    for (Shard& shard : shards_) {
      for (auto& [name, entry] : shard.entries) all.push_back(std::move(entry));
      shard.entries.clear();
    }
    std::sort(all.begin(), all.end(),
              [](const Entry& a, const Entry& b) { return a.first < b.first; });
    std::vector<reef::Ref<Package>> packages;
    packages.reserve(all.size());
    for (Entry& entry : all) packages.push_back(std::move(entry.package));
    return packages;
  }

 private:
  static constexpr size_t kShards = 64;

  struct Entry {
    reef::Ref<Package> package;
    const char* first = nullptr;  // where the text first names it
  };
  struct alignas(64) Shard {
    std::mutex mutex;  // of the entries, and of their packages
    absl::flat_hash_map<std::string_view, Entry> entries;
  };

  reef::Heap& heap_;
  std::array<Shard, kShards> shards_;
};

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_NAMES_H_
