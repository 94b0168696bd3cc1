// A server over the package lists of a Linux distribution, on one Reef heap.
//
// It loads the description of every package, builds the dependency graph (which is full of cycles),
// and answers queries with several threads, while others reload the whole graph again and again,
// together. Each graph that has been replaced is garbage that only the collector can reclaim, which
// it does without ever stopping a worker. In the end everything is dropped and nothing may be left.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"

#include "docs/examples/package_graph/format.h"
#include "docs/examples/package_graph/input.h"
#include "docs/examples/package_graph/loader.h"
#include "docs/examples/package_graph/options.h"
#include "docs/examples/package_graph/parser.h"
#include "docs/examples/package_graph/queries.h"
#include "docs/examples/package_graph/report.h"
#include "docs/examples/package_graph/sampler.h"
#include "docs/examples/package_graph/server.h"
#include "reef/reef.h"

namespace package_graph {
namespace {

using Clock = std::chrono::steady_clock;

// Set by a signal handler: relaxed, nothing else is passed with it.
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

int Fail(const std::string& message, int status) {
  absl::FPrintF(stderr, "package_graph: %s\n", message);
  return status;
}

int Cores() { return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1); }

std::chrono::nanoseconds Since(Clock::time_point begin) { return Clock::now() - begin; }

// Queries whose answers are noted, to be put to later loads of the same text.
std::vector<Probe> MakeProbes(const Graph& graph) {
  constexpr int kProbes = 600;
  std::minstd_rand random(1);
  Searcher searcher;
  std::vector<Probe> probes;
  for (int i = 0; i < kProbes; ++i) {
    const Query query = RandomQuery(graph, random);
    probes.push_back({query, searcher.Answer(graph, query).size()});
  }
  return probes;
}

// One line a second until the time is over: on a terminal always the same one.
void ShowProgress(const reef::Heap& heap, const GraphTally& tally, const Server& server,
                  int seconds) {
  const bool is_terminal = isatty(STDOUT_FILENO) != 0;
  absl::PrintF(
      "    time   queries/s   reloads   graphs held      objects   in objects    resident   "
      "collections\n");
  const Clock::time_point begin = Clock::now();
  uint64_t answered_before = 0;
  for (int second = 1; second <= seconds && !g_interrupted.load(std::memory_order_relaxed);
       ++second) {
    std::this_thread::sleep_until(begin + std::chrono::seconds(second));
    const uint64_t answered = server.answered();
    const reef::HeapStats stats = heap.Stats();
    absl::PrintF("%s%6d s%12s%10d%14d%13s%13s%12s%14d%s", is_terminal ? "\r" : "", second,
                 Count(answered - answered_before), server.reloads(),
                 tally.made() - tally.reclaimed(), Count(stats.live_objects),
                 Bytes(stats.live_bytes), Bytes(stats.resident_bytes), stats.collections,
                 is_terminal && second < seconds ? "" : "\n");
    std::fflush(stdout);
    answered_before = answered;
  }
}

// Has all but the last graph reclaimed, then lets go of that too. Memory goes back to the system
// within a second, so it looks at the heap a second after each.
Ending DropEverything(reef::Heap& heap, Server& server, const Sampler& sampler) {
  Ending ending;
  heap.Collect();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  ending.before = heap.Stats();
  ending.verified = heap.Verify();
  ending.dropped_at = sampler.elapsed();
  const Clock::time_point begin = Clock::now();
  server.DropGraph();
  heap.Collect();
  ending.collect_time = Since(begin);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  ending.after = heap.Stats();
  return ending;
}

// True if every answer was right and nothing was left in the end.
bool Serve(reef::Heap& heap, GraphTally& tally, const Input& input, reef::Ref<Graph> graph,
           const Options& options) {
  const std::vector<Probe> probes = MakeProbes(*graph);
  PrintExamples(*graph, probes);
  const int workers = options.workers != 0 ? options.workers : std::max(Cores() - 1, 1);
  absl::PrintF("\nServing for %d s on %d cores: %d %s queries, %d %s without a pause\n",
               options.seconds, Cores(), workers,
               workers == 1 ? "worker answers" : "workers answer", Cores(),
               Cores() == 1 ? "thread reloads" : "threads reload");

  // An interrupt ends the serving early, and the report still comes; a second one ends all.
  std::signal(SIGINT, [](int) { g_interrupted.store(true, std::memory_order_relaxed); });
  Sampler sampler(heap);
  Server server(heap, tally, input.text, probes, Cores());
  const reef::HeapStats before = heap.Stats();
  const Clock::time_point begin = Clock::now();
  server.Start(std::move(graph), workers);
  ShowProgress(heap, tally, server, options.seconds);
  std::signal(SIGINT, SIG_DFL);
  const std::chrono::nanoseconds served = Since(begin);
  const reef::HeapStats after = heap.Stats();
  const int64_t reclaimed = tally.reclaimed();
  server.Stop();
  const Ending ending = DropEverything(heap, server, sampler);
  sampler.Stop();

  absl::PrintF("\n");
  const QueryStats queries = server.query_stats();
  PrintQueries(queries, served);
  PrintGraphs(server.reload_stats(), tally, reclaimed, sampler.samples());
  PrintCollections(before, after);
  PrintMemory(sampler.samples(), ending.dropped_at);
  return PrintEnding(ending, tally) && queries.wrong == 0;
}

void PrintLoad(const Input& input, size_t skipped, const Graph& graph,
               const reef::HeapStats& stats) {
  absl::PrintF("  %s packages and %s virtual names, %s dependencies, from %s of %s\n",
               Count(graph.packages.size() - graph.virtual_packages), Count(graph.virtual_packages),
               Count(graph.dependencies), Bytes(input.text.size()), input.name);
  if (skipped != 0) absl::PrintF("  %s bad stanzas, skipped\n", Count(skipped));
  absl::PrintF("  %s objects on the Reef heap, %s\n", Count(stats.live_objects),
               Bytes(stats.live_bytes));
}

int Run(const Options& options) {
  const Clock::time_point begin = Clock::now();
  const absl::StatusOr<Input> input = ReadInput(options.file);
  if (!input.ok()) return Fail(std::string(input.status().message()), 1);
  const std::chrono::nanoseconds read_time = Since(begin);

  std::vector<StanzaList> parts = ParsePackageList(input->text, Cores());
  const std::chrono::nanoseconds parse_time = Since(begin) - read_time;
  size_t named = 0;
  size_t usable = 0;
  for (const StanzaList& part : parts) {
    named += part.named;
    usable += part.stanzas.size();
  }
  if (named == 0) return Fail(input->name + ": is no package list: no stanza names a package", 1);
  const std::vector<BadStanza> bad = BadStanzas(parts);
  PrintBadStanzas(input->name, bad);
  if (usable == 0) return Fail(input->name + ": no stanza is usable", 1);

  GraphTally tally;  // before the heap, whose end may still reclaim graphs
  auto heap = reef::Heap::Create();
  if (!heap.ok()) return Fail(std::string(heap.status().message()), 1);
  reef::Ref<Graph> graph = BuildGraph(**heap, parts, tally);
  parts = {};
  absl::PrintF("A server whose whole data set is replaced under load\n\n");
  PrintLoad(*input, bad.size(), *graph, (*heap)->Stats());
  absl::PrintF("  read in %s, parsed in %s, built in %s\n", Time(read_time), Time(parse_time),
               Time(Since(begin) - read_time - parse_time));
  return Serve(**heap, tally, *input, std::move(graph), options) ? 0 : 1;
}

int Main(int argc, char** argv) {
  const absl::StatusOr<Options> options = ParseOptions(argc, argv);
  if (!options.ok()) {
    return Fail(std::string(options.status().message()) + "; see package_graph --help", 2);
  }
  if (options->wants_help) {
    absl::PrintF("%s", kUsage);
    return 0;
  }
  try {
    return Run(*options);
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", 1);
  }
}

}  // namespace
}  // namespace package_graph

int main(int argc, char** argv) { return package_graph::Main(argc, argv); }
