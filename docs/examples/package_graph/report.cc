#include "docs/examples/package_graph/report.h"

#include <algorithm>
#include <cstdio>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "docs/examples/package_graph/format.h"
#include "docs/examples/package_graph/plot.h"
#include "docs/examples/package_graph/queries.h"

namespace package_graph {
namespace {

// As many names as go on a line.
std::string Names(Searcher::Packages packages, const char* between) {
  constexpr size_t kWidth = 60;
  std::string text;
  for (const Package* package : packages) {
    if (!text.empty()) absl::StrAppend(&text, between);
    if (text.size() > kWidth) return absl::StrCat(text, "...");
    absl::StrAppend(&text, package->name);
  }
  return text;
}

Histogram Sum(const Latency& latency) {
  Histogram sum = latency[0];
  sum.Merge(latency[1]);
  return sum;
}

void PrintLatency(const std::string& name, const Histogram& times,
                  std::chrono::nanoseconds served) {
  const double seconds = std::chrono::duration<double>(served).count();
  const auto per_second = static_cast<uint64_t>(static_cast<double>(times.count()) / seconds);
  absl::PrintF("  %-32s%12s%10s", name, Count(times.count()), Count(per_second));
  if (times.count() != 0) {
    for (const double share : {0.5, 0.99, 0.999}) {
      absl::PrintF("%10s", Time(times.Percentile(share)));
    }
    absl::PrintF("%10s", Time(times.max()));
  }
  absl::PrintF("\n");
}

void PrintApart(const Latency& latency, std::chrono::nanoseconds served) {
  PrintLatency("  while no collection runs", latency[0], served);
  PrintLatency("  while a collection runs", latency[1], served);
}

}  // namespace

void PrintBadStanzas(const std::string& input_name, const std::vector<BadStanza>& bad) {
  for (const BadStanza& stanza : bad) {
    absl::FPrintF(stderr, "%s:%d: stanza skipped: %s\n", input_name, stanza.line, stanza.reason);
  }
}

void PrintExamples(const Graph& graph, const std::vector<Probe>& probes) {
  Searcher searcher;
  const Package* most_used = nullptr;
  const Package* most_knotted = nullptr;
  size_t knot = 1;
  for (const auto& package : graph.packages) {
    if (package->IsVirtual()) continue;
    if (!most_used || package->dependents.size() > most_used->dependents.size()) {
      most_used = package.get();
    }
    if (const size_t size = searcher.Component(graph, *package).size(); size > knot) {
      most_knotted = package.get();
      knot = size;
    }
  }
  absl::PrintF("  %s is needed, directly or not, by %s packages\n", most_used->name,
               Count(searcher.Dependents(graph, *most_used).size() - 1));
  if (most_knotted != nullptr) {
    absl::PrintF("  %d packages need each other: %s\n", knot,
                 Names(searcher.Component(graph, *most_knotted), ", "));
  }

  const auto longest =
      std::max_element(probes.begin(), probes.end(), [](const Probe& a, const Probe& b) {
        const bool a_is_path = a.query.kind == QueryKind::kPath;
        const bool b_is_path = b.query.kind == QueryKind::kPath;
        return a_is_path != b_is_path ? b_is_path : a.answer < b.answer;
      });
  const Searcher::Packages path = searcher.Answer(graph, longest->query);
  if (longest->query.kind == QueryKind::kPath && path.size() > 1) {
    absl::PrintF("  %s\n", Names(path, " -> "));
  }
}

void PrintQueries(const QueryStats& stats, std::chrono::nanoseconds served) {
  absl::PrintF("%-34s%12s%10s%10s%10s%10s%10s\n", "Queries", "number", "per s", "p50", "p99",
               "p99.9", "max");
  Latency all;
  for (size_t kind = 0; kind < kQueryKinds; ++kind) {
    PrintLatency(QueryName(static_cast<QueryKind>(kind)), Sum(stats.by_kind[kind]), served);
    for (size_t collecting = 0; collecting < 2; ++collecting) {
      all[collecting].Merge(stats.by_kind[kind][collecting]);
    }
  }
  PrintLatency("all", Sum(all), served);
  PrintApart(all, served);
  // With more threads than cores the scheduler must interrupt some, whatever they do.
  const Histogram not_preempted = Sum(stats.not_preempted);
  PrintLatency(
      absl::StrCat("all but ", Count(Sum(all).count() - not_preempted.count()), " preempted ones"),
      not_preempted, served);
  PrintApart(stats.not_preempted, served);
  absl::PrintF("  workers blocked (on a lock, a page, anything): %s times\n", Count(stats.waits));
  absl::PrintF("  answers compared with those of the first load: %s, of which differ %s\n\n",
               Count(stats.checked), Count(stats.wrong));
}

void PrintGraphs(const ReloadStats& reloads, const GraphTally& tally,
                 int64_t reclaimed_while_serving, const std::vector<Sample>& samples) {
  const int64_t divisor = std::max<int64_t>(reloads.reloads, 1);
  uint64_t most_objects = 0;
  uint64_t most_bytes = 0;
  for (const Sample& sample : samples) {
    most_objects = std::max(most_objects, sample.live_objects);
    most_bytes = std::max(most_bytes, sample.live_bytes);
  }
  absl::PrintF("Graphs\n");
  absl::PrintF("  made %d, dropped while serving %d, of which reclaimed while serving %d\n",
               tally.made(), reloads.reloads, reclaimed_while_serving);
  absl::PrintF("  from drop to reclaimed: %s on average, %s at most\n", Time(tally.mean_wait()),
               Time(tally.longest_wait()));
  absl::PrintF("  a reload: %s to parse, %s to build; given up for lack of memory: %d\n",
               Time(reloads.parse_time / divisor), Time(reloads.build_time / divisor),
               reloads.out_of_memory);
  absl::PrintF("  at the peak the heap held %s objects, %s\n\n", Count(most_objects),
               Bytes(most_bytes));
}

void PrintCollections(const reef::HeapStats& before, const reef::HeapStats& after) {
  std::chrono::nanoseconds total{};
  for (int i = 0; i < reef::kPhases; ++i) total += after.phase_time[i] - before.phase_time[i];
  const uint64_t collections = after.collections - before.collections;
  absl::PrintF("Collections\n");
  absl::PrintF("  %d while serving, %d given up; %s garbage objects, %s\n", collections,
               after.collections_aborted - before.collections_aborted,
               Count(after.garbage_objects - before.garbage_objects),
               Bytes(after.garbage_bytes - before.garbage_bytes));
  const auto divisor = static_cast<int64_t>(std::max<uint64_t>(collections, 1));
  for (int i = 0; i < reef::kPhases; ++i) {
    const std::chrono::nanoseconds time = after.phase_time[i] - before.phase_time[i];
    const int64_t share = time.count() * 100 / std::max<int64_t>(total.count(), 1);
    std::string bar;
    for (int64_t part = 0; part < share / 2; ++part) bar += "█";
    absl::PrintF("  %-10s%10s each %4d %%  %s\n", reef::PhaseName(static_cast<reef::Phase>(i)),
                 Time(time / divisor), share, bar);
  }
  absl::PrintF(
      "  the longest rendezvous took %s; for one thread's bracket it waited %s at most\n\n",
      Time(after.longest_rendezvous), Time(after.longest_bracket));
}

void PrintMemory(const std::vector<Sample>& samples, std::chrono::nanoseconds last_drop) {
  absl::PrintF("Memory: █ in objects, live ones and garbage, ░ resident beyond that\n");
  absl::PrintF("%s\n", PlotMemory(samples, last_drop));
}

bool PrintEnding(const Ending& ending, const GraphTally& tally) {
  const bool is_empty = ending.after.live_objects == 0 && tally.reclaimed() == tally.made();
  absl::PrintF("The last drop\n");
  absl::PrintF("  before: %s objects, %s, %s resident; each count checked: %s\n",
               Count(ending.before.live_objects), Bytes(ending.before.live_bytes),
               Bytes(ending.before.resident_bytes),
               ending.verified.ok() ? "right" : ending.verified.ToString());
  // From the totals: an automatic collection may have come before Collect.
  absl::PrintF("  Collect() reclaimed %s objects in %s\n",
               Count(ending.after.garbage_objects - ending.before.garbage_objects),
               Time(ending.collect_time));
  absl::PrintF("  after:  %s objects, %s resident\n", Count(ending.after.live_objects),
               Bytes(ending.after.resident_bytes));
  absl::PrintF("  graphs: made %d, dropped %d, reclaimed %d\n", tally.made(), tally.dropped(),
               tally.reclaimed());
  absl::PrintF("  %s\n", is_empty ? "nothing left" : "SOMETHING IS LEFT");
  return is_empty && ending.verified.ok();
}

}  // namespace package_graph
