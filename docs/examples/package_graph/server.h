// The server: workers answer queries about the current graph while it is reloaded over and over, by
// one more thread and its helpers, and the new one put in its place.
//
// The two sides meet in one AtomicRef. A worker loads a counted Ref for each query, then follows
// plain edges: the graph cannot go while it is held, and nobody changes it. The reloader exchanges
// the AtomicRef and drops the old graph, all of it cyclic, into the hands of the collector.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_SERVER_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_SERVER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string_view>
#include <thread>
#include <vector>

#include "docs/examples/package_graph/graph.h"
#include "docs/examples/package_graph/histogram.h"
#include "docs/examples/package_graph/queries.h"
#include "docs/examples/package_graph/tally.h"
#include "reef/reef.h"

namespace package_graph {

// A query whose answer is known: every load of the same text must give the same.
struct Probe {
  Query query;
  size_t answer;  // how many packages
};

// Latencies, apart for queries during which a collection was running ([1]) and the others ([0]).
using Latency = std::array<Histogram, 2>;

struct QueryStats {
  std::array<Latency, kQueryKinds> by_kind;
  // Of all kinds, those only during which the scheduler did not give the core to another thread:
  // with more threads than cores it must, whatever the threads do.
  Latency not_preempted;
  uint64_t checked = 0;  // probes
  uint64_t wrong = 0;    // probes with another answer than at first
  uint64_t waits = 0;    // how often a worker gave up its core by itself, to wait for something

  void Merge(const QueryStats& other);
};

struct ReloadStats {
  int64_t reloads = 0;
  int64_t out_of_memory = 0;  // reloads given up; the server went on with the graph it had
  std::chrono::nanoseconds parse_time{};
  std::chrono::nanoseconds build_time{};
};

class Server {
 public:
  // Everything that is passed by reference, and what `text` points to, outlives the server. Reloads
  // use so many threads.
  Server(reef::Heap& heap, GraphTally& tally, std::string_view text,
         const std::vector<Probe>& probes, int reload_threads);
  ~Server() { Stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void Start(reef::Ref<Graph> first, int workers);
  // Waits for all threads. The current graph stays.
  void Stop();
  // The last drop.
  void DropGraph();

  // At any time, from any thread.
  uint64_t answered() const;
  int64_t reloads() const { return reloads_.load(std::memory_order_relaxed); }
  // After Stop.
  QueryStats query_stats() const;
  const ReloadStats& reload_stats() const { return reload_stats_; }

 private:
  struct Worker {
    // Written by the worker alone; atomic for the progress line.
    std::atomic<uint64_t> answered = 0;
    QueryStats stats;
    std::thread thread;
  };

  void Serve(Worker& worker, unsigned seed);
  void AnswerOne(Worker& worker, Searcher& searcher, const Query& query, const Probe* probe);
  void ReloadForever();
  void Reload();

  reef::Heap& heap_;
  GraphTally& tally_;
  const std::string_view text_;
  const std::vector<Probe>& probes_;
  const int reload_threads_;
  reef::AtomicRef<Graph> current_;
  std::atomic<bool> is_stopping_ = false;
  std::deque<Worker> workers_;  // a deque, because a Worker cannot be moved
  std::thread reloader_;
  std::atomic<int64_t> reloads_ = 0;
  ReloadStats reload_stats_;
};

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_SERVER_H_
