#include "docs/examples/package_graph/server.h"

#include <sys/resource.h>

#include <new>
#include <utility>

#include "docs/examples/package_graph/loader.h"
#include "docs/examples/package_graph/parser.h"

namespace package_graph {
namespace {

using Clock = std::chrono::steady_clock;

// Every eighth query is one whose answer is known.
constexpr unsigned kProbeInterval = 8;

// How often this thread has lost its core: taken by the scheduler, or given up to wait.
struct Switches {
  int64_t taken;
  int64_t given;

  static Switches Now() {
    rusage usage = {};
    getrusage(RUSAGE_THREAD, &usage);
    return {usage.ru_nivcsw, usage.ru_nvcsw};
  }
};

}  // namespace

void QueryStats::Merge(const QueryStats& other) {
  for (size_t collecting = 0; collecting < 2; ++collecting) {
    for (size_t kind = 0; kind < kQueryKinds; ++kind) {
      by_kind[kind][collecting].Merge(other.by_kind[kind][collecting]);
    }
    not_preempted[collecting].Merge(other.not_preempted[collecting]);
  }
  checked += other.checked;
  wrong += other.wrong;
  waits += other.waits;
}

Server::Server(reef::Heap& heap, GraphTally& tally, std::string_view text,
               const std::vector<Probe>& probes, int reload_threads)
    : heap_(heap), tally_(tally), text_(text), probes_(probes), reload_threads_(reload_threads) {}

void Server::Start(reef::Ref<Graph> first, int workers) {
  current_.Store(std::move(first));
  for (int i = 0; i < workers; ++i) {
    Worker& worker = workers_.emplace_back();
    worker.thread =
        std::thread([this, &worker, i] { Serve(worker, static_cast<unsigned>(i) + 1); });
  }
  reloader_ = std::thread([this] { ReloadForever(); });
}

void Server::Stop() {
  is_stopping_.store(true, std::memory_order_relaxed);
  for (Worker& worker : workers_) {
    if (worker.thread.joinable()) worker.thread.join();
  }
  if (reloader_.joinable()) reloader_.join();
}

void Server::DropGraph() {
  if (const reef::Ref<Graph> last = current_.Exchange(nullptr)) {
    tally_.CountDropped(last->dropped_at);
  }
}

uint64_t Server::answered() const {
  uint64_t sum = 0;
  for (const Worker& worker : workers_) sum += worker.answered.load(std::memory_order_relaxed);
  return sum;
}

QueryStats Server::query_stats() const {
  QueryStats sum;
  for (const Worker& worker : workers_) sum.Merge(worker.stats);
  return sum;
}

void Server::Serve(Worker& worker, unsigned seed) {
  std::minstd_rand random(seed);
  Searcher searcher;
  const Switches before = Switches::Now();
  for (unsigned turn = 0; !is_stopping_.load(std::memory_order_relaxed); ++turn) {
    if (turn % kProbeInterval == 0) {
      const Probe& probe = probes_[random() % probes_.size()];
      AnswerOne(worker, searcher, probe.query, &probe);
    } else {
      AnswerOne(worker, searcher, RandomQuery(*current_.Load(), random), nullptr);
    }
  }
  worker.stats.waits = static_cast<uint64_t>(Switches::Now().given - before.given);
}

void Server::AnswerOne(Worker& worker, Searcher& searcher, const Query& query, const Probe* probe) {
  const Switches switches = Switches::Now();
  const bool collecting_before = heap_.IsCollecting();
  const Clock::time_point begin = Clock::now();
  reef::Ref<Graph> graph = current_.Load();
  const size_t answer = searcher.Answer(*graph, query).size();
  graph.Reset();  // part of the query: this may be the last reference
  const Clock::duration latency = Clock::now() - begin;
  const bool collecting = collecting_before || heap_.IsCollecting();

  QueryStats& stats = worker.stats;
  stats.by_kind[static_cast<size_t>(query.kind)][collecting].Add(latency);
  if (Switches::Now().taken == switches.taken) stats.not_preempted[collecting].Add(latency);
  if (probe != nullptr) {
    ++stats.checked;
    if (answer != probe->answer) ++stats.wrong;
  }
  worker.answered.store(worker.answered.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
}

void Server::ReloadForever() {
  while (!is_stopping_.load(std::memory_order_relaxed)) {
    try {
      Reload();
      reloads_.fetch_add(1, std::memory_order_relaxed);
      ++reload_stats_.reloads;
    } catch (const std::bad_alloc&) {  // by Reef (OutOfMemory) or by the parser
      ++reload_stats_.out_of_memory;
    }
  }
}

void Server::Reload() {
  const Clock::time_point begin = Clock::now();
  const std::vector<StanzaList> parts = ParsePackageList(text_, reload_threads_);
  const Clock::time_point parsed = Clock::now();
  reef::Ref<Graph> fresh = BuildGraph(heap_, parts, tally_);
  reload_stats_.parse_time += parsed - begin;
  reload_stats_.build_time += Clock::now() - parsed;
  if (const reef::Ref<Graph> old = current_.Exchange(std::move(fresh))) {
    tally_.CountDropped(old->dropped_at);
  }
}

}  // namespace package_graph
