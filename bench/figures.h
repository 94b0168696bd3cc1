// The figures: one table of all workloads and subjects, and what is demanded of it.
#ifndef REEF_BENCH_FIGURES_H_
#define REEF_BENCH_FIGURES_H_

#include "bench/suite.h"

namespace bench {

// Runs every case `repetitions` times (slow ones three times), interleaved, and prints the table
// and the targets in Markdown.
void PrintFigures(const Suite& suite, int repetitions);

}  // namespace bench

#endif  // REEF_BENCH_FIGURES_H_
