#include "bench/figures.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace bench {
namespace {

constexpr int kSlowRepetitions = 3;

// One row: nanoseconds per operation of each column, one after another for each repetition. So the
// samples of two columns at one index are neighbours in time, and their ratio is worth more than
// that of two medians.
struct Row {
  const Workload* workload;
  std::array<std::vector<double>, kColumns> samples;

  const std::vector<double>& At(Column column) const {
    return samples[static_cast<size_t>(column)];
  }
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double Least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

double PairedRatio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
  return Median(ratios);
}

// Starts at another column each time, so that none always follows the same one.
void RunOnce(Row& row, int repetition) {
  for (size_t i = 0; i < kColumns; ++i) {
    const size_t column = (i + static_cast<size_t>(repetition)) % kColumns;
    const Sample sample = row.workload->samples[column];
    if (sample == nullptr) continue;
    const uint64_t operations = row.workload->operations;
    row.samples[column].push_back(sample(operations) / static_cast<double>(operations));
  }
}

std::vector<Row> Run(const Suite& suite, int repetitions) {
  std::vector<Row> rows;
  for (const Workload& workload : suite) {
    if (workload.in_table) rows.push_back(Row{&workload, {}});
  }
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    for (Row& row : rows) {
      if (row.workload->slow && repetition >= kSlowRepetitions) continue;
      RunOnce(row, repetition);
    }
    std::fprintf(stderr, "\rrepetition %d of %d", repetition + 1, repetitions);
  }
  std::fprintf(stderr, "\r%30s\r", "");
  return rows;
}

std::string Format(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

// "median (least)", and for a baseline "x ratio" of Reef to it.
std::string Cell(const Row& row, Column column) {
  const std::vector<double>& samples = row.At(column);
  if (samples.empty()) return "-";
  std::string cell = Format("%.2f", Median(samples)) + Format(" (%.2f)", Least(samples));
  if (column != Column::kReef) {
    cell += Format(" x%.2f", PairedRatio(row.At(Column::kReef), samples));
  }
  return cell;
}

void PrintLine(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  for (size_t i = 0; i < cells.size(); ++i) {
    std::printf("| %-*s ", static_cast<int>(widths[i]), cells[i].c_str());
  }
  std::printf("|\n");
}

void PrintTable(const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> lines(1, {"ns per operation"});
  for (size_t column = 0; column < kColumns; ++column) {
    lines[0].emplace_back(ColumnName(static_cast<Column>(column)));
  }
  for (const Row& row : rows) {
    lines.push_back({row.workload->name});
    for (size_t column = 0; column < kColumns; ++column) {
      lines.back().push_back(Cell(row, static_cast<Column>(column)));
    }
  }
  std::vector<size_t> widths(kColumns + 1);
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::vector<std::string> rule;
  for (const size_t width : widths) rule.emplace_back(width, '-');
  lines.insert(lines.begin() + 1, rule);
  for (const auto& line : lines) PrintLine(line, widths);
}

// Reef may take at most `most` times what the baseline takes.
struct Target {
  const char* workload;
  Column baseline;
  double most;
};

constexpr Target kTargets[] = {
    {kMakeDropLifo, Column::kMiNew, 1.3},       {kMakeDropBatch, Column::kMiNew, 1.3},
    {kMakeDropLifo, Column::kMiShared, 0.6},    {kMakeDropBatch, Column::kMiShared, 0.6},
    {kCopyDropOwner, Column::kMiShared, 0.4},   {kCopyDropForeign, Column::kMiAtomic, 1.15},
    {kBinaryTrees, Column::kMiShared, 1 / 1.5},
};

void PrintTarget(const std::vector<Row>& rows, const Target& target) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& candidate) {
    return candidate.workload->name == target.workload;
  });
  if (row == rows.end()) return;
  const std::vector<double>& reef = row->At(Column::kReef);
  const std::vector<double>& baseline = row->At(target.baseline);
  const double ratio = PairedRatio(reef, baseline);
  const bool met = ratio <= target.most;
  std::printf("- %s: %s, %.2f of %s (at most %.2f; by the least samples %.2f)\n",
              met ? "met" : "MISSED", target.workload, ratio, ColumnName(target.baseline),
              target.most, Least(reef) / Least(baseline));
}

}  // namespace

const char* ColumnName(Column column) {
  switch (column) {
    case Column::kReef:
      return "Reef";
    case Column::kGlibcNew:
      return "glibc new+delete";
    case Column::kGlibcShared:
      return "glibc make_shared";
    case Column::kMiNew:
      return "mimalloc malloc+free";
    case Column::kMiUnique:
      return "mimalloc unique_ptr";
    case Column::kMiPlain:
      return "mimalloc plain intrusive";
    case Column::kMiAtomic:
      return "mimalloc atomic intrusive";
    case Column::kMiShared:
      return "mimalloc make_shared";
  }
  return "";
}

void PrintFigures(const Suite& suite, int repetitions) {
  const std::vector<Row> rows = Run(suite, repetitions);
  std::printf(
      "Median (least) of %d repetitions, slow ones of %d; x: the median of Reef's time divided by\n"
      "the baseline's in the same repetition.\n\n",
      repetitions, std::min(repetitions, kSlowRepetitions));
  PrintTable(rows);
  std::printf("\n");
  for (const Target& target : kTargets) PrintTarget(rows, target);
}

}  // namespace bench
