#include "docs/examples/package_graph/plot.h"

#include <algorithm>
#include <array>
#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "docs/examples/package_graph/format.h"

namespace package_graph {
namespace {

constexpr size_t kColumns = 72;
constexpr size_t kRows = 8;

struct Column {
  uint64_t used = 0;
  uint64_t resident = 0;
};

// The peak of each stretch of time; a stretch without a sample continues the one before.
std::array<Column, kColumns> Columns(const std::vector<Sample>& samples) {
  std::array<Column, kColumns> columns;
  const auto end = samples.back().time.count() + 1;
  size_t last = 0;
  for (const Sample& sample : samples) {
    const auto at = static_cast<size_t>(sample.time.count() * int64_t{kColumns} / end);
    for (; last < at; ++last) columns[last + 1] = last + 1 < at ? columns[last] : Column{};
    columns[at].used = std::max(columns[at].used, sample.live_bytes);
    columns[at].resident = std::max(columns[at].resident, sample.resident_bytes);
  }
  return columns;
}

// A round number of bytes for a row, with which `peak` fits the plot.
uint64_t BytesPerRow(uint64_t peak) {
  const uint64_t least = std::max(peak / kRows + 1, uint64_t{1} << 16);
  const uint64_t step = std::bit_floor(least) / 4;
  return (least + step - 1) / step * step;
}

// The row below the axis: an arrow to the moment `mark`, and the ends in seconds where there is
// room.
std::string Legend(std::chrono::nanoseconds end, std::chrono::nanoseconds mark) {
  std::string text(kColumns, ' ');
  const std::string last = Time(end);
  text.replace(kColumns - last.size(), last.size(), last);
  const auto at = static_cast<size_t>(mark.count() * int64_t{kColumns} / (end.count() + 1));
  if (at + 1 + last.size() >= kColumns) text.assign(kColumns, ' ');
  const std::string arrow = "last drop ^";
  if (at + 1 >= arrow.size()) text.replace(at + 1 - arrow.size(), arrow.size(), arrow);
  if (text.starts_with("   ")) text.replace(0, 3, "0 s");
  return text;
}

}  // namespace

std::string PlotMemory(const std::vector<Sample>& samples, std::chrono::nanoseconds drop) {
  if (samples.empty()) return "";
  const auto columns = Columns(samples);
  uint64_t peak = 0;
  for (const Column& column : columns) peak = std::max({peak, column.used, column.resident});
  const uint64_t per_row = BytesPerRow(peak);

  std::string text;
  for (size_t row = kRows; row-- > 0;) {
    const uint64_t middle = per_row * row + per_row / 2;
    absl::StrAppendFormat(&text, "  %9s |", Bytes(per_row * (row + 1)));
    for (const Column& column : columns) {
      text += column.used > middle ? "█" : column.resident > middle ? "░" : " ";
    }
    text += "\n";
  }
  absl::StrAppendFormat(&text, "  %9s +%s\n", "0", std::string(kColumns, '-'));
  absl::StrAppend(&text, std::string(13, ' '), Legend(samples.back().time, drop), "\n");
  return text;
}

}  // namespace package_graph
