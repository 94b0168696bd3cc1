// The benchmarks' program. Without options it measures every workload with every subject,
// interleaved, and prints the figures: a table, and whether the targets are met.
//
//   figures_bench [--repetitions=N] [--rows=TEXT]      only the rows whose names contain TEXT
//   figures_bench --benchmark_filter=... [more]        the same cases under Google Benchmark
#include <dlfcn.h>
#include <sys/single_threaded.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include <benchmark/benchmark.h>

#include "bench/figures.h"
#include "bench/suite.h"

namespace bench {
namespace {

Suite AllWorkloads() {
  Suite suite;
  AddMakeDrop(suite);
  AddCopyDrop(suite);
  AddMemberStore(suite);
  AddHandOff(suite);
  AddBinaryTrees(suite);
  AddMark(suite);
  AddLockFree(suite);
  return suite;
}

// A baseline that is not what its name says would make every ratio worthless.
void CheckBaselines() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&std::malloc), &info) == 0 ||
      std::strstr(info.dli_fname, "mimalloc") != nullptr) {
    std::fprintf(stderr, "bench: malloc is not the C library's; link it before mimalloc\n");
    std::exit(1);
  }
  // libstdc++ counts shared_ptr without atomics until the process has had a second thread.
  std::thread([] {}).join();
  if (__libc_single_threaded != 0) {
    std::fprintf(stderr, "bench: shared_ptr still counts without atomics\n");
    std::exit(1);
  }
}

void RegisterAll(const Suite& suite) {
  for (const Workload& workload : suite) {
    for (size_t i = 0; i < kColumns; ++i) {
      const Sample sample = workload.samples[i];
      if (sample == nullptr) continue;
      const std::string name = workload.name + "/" + ColumnName(static_cast<Column>(i));
      const uint64_t operations = workload.operations;
      benchmark::RegisterBenchmark(
          name.c_str(),
          [sample, operations](benchmark::State& state) {
            for ([[maybe_unused]] auto _ : state) {
              state.SetIterationTime(sample(operations) * 1e-9);
            }
            state.SetItemsProcessed(static_cast<int64_t>(operations) * state.iterations());
          })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

int RunGoogleBenchmark(int argc, char** argv) {
  RegisterAll(AllWorkloads());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

// The value of `--name=` if that is what `argument` is, otherwise null.
const char* ValueOf(const char* argument, std::string_view option) {
  return std::string_view(argument).substr(0, option.size()) == option ? argument + option.size()
                                                                       : nullptr;
}

int RunFigures(int argc, char** argv) {
  Suite suite = AllWorkloads();
  int repetitions = 7;
  for (int i = 1; i < argc; ++i) {
    if (const char* count = ValueOf(argv[i], "--repetitions=")) {
      repetitions = std::atoi(count);
    } else if (const char* rows = ValueOf(argv[i], "--rows=")) {
      std::erase_if(suite, [rows](const Workload& workload) {
        return workload.name.find(rows) == std::string::npos;
      });
    } else {
      repetitions = 0;
    }
  }
  if (repetitions < 1) {
    std::fprintf(stderr, "usage: %s [--repetitions=N] [--rows=TEXT] | --benchmark_...\n", argv[0]);
    return 2;
  }
  PrintFigures(suite, repetitions);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::CheckBaselines();
  if (argc > 1 && bench::ValueOf(argv[1], "--benchmark_") != nullptr) {
    return bench::RunGoogleBenchmark(argc, argv);
  }
  return bench::RunFigures(argc, argv);
}
