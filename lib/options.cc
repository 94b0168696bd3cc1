#include "lib/options.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <type_traits>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "lib/object/dying.h"
#include "lib/threads/hazard.h"

namespace reef {
namespace {

using Field = std::variant<uint64_t HeapOptions::*, int HeapOptions::*, bool HeapOptions::*,
                           DebugFlags HeapOptions::*, HeapEnd HeapOptions::*>;

struct Option {
  const char* name;  // in HeapOptions
  const char* variable;
  Field field;
  // Of numbers: the range, in words too. `zero`: 0 is in it as well.
  uint64_t least = 0;
  uint64_t most = std::numeric_limits<uint64_t>::max();
  bool zero = false;
  const char* range = "";
  bool counts = false;  // not bytes: K, M, G and T mean nothing
};

constexpr char kEnds[] = "report, finalize or leak";

constexpr auto kOptions = std::to_array<Option>({
    {"reserve_bytes", "REEF_RESERVE_BYTES", &HeapOptions::reserve_bytes, 1, uint64_t{1} << 46,
     false, "1 byte to 64 TiB"},
    {"max_bytes", "REEF_MAX_BYTES", &HeapOptions::max_bytes, uint64_t{1} << 20,
     std::numeric_limits<uint64_t>::max(), true, "0 or at least 1 MiB"},
    {"soft_limit_bytes", "REEF_SOFT_LIMIT_BYTES", &HeapOptions::soft_limit_bytes, uint64_t{1} << 20,
     std::numeric_limits<uint64_t>::max(), true, "0 or at least 1 MiB"},
    {"respect_cgroup", "REEF_RESPECT_CGROUP", &HeapOptions::respect_cgroup},
    {"huge_pages", "REEF_HUGE_PAGES", &HeapOptions::huge_pages},
    {"automatic_collection", "REEF_AUTOMATIC_COLLECTION", &HeapOptions::automatic_collection},
    {"growth_percent", "REEF_GROWTH_PERCENT", &HeapOptions::growth_percent, 1, 10'000, false,
     "1 to 10,000"},
    {"growth_bytes", "REEF_GROWTH_BYTES", &HeapOptions::growth_bytes},
    {"collector_cpu_percent", "REEF_COLLECTOR_CPU_PERCENT", &HeapOptions::collector_cpu_percent, 1,
     100, false, "1 to 100"},
    {"marker_threads", "REEF_MARKER_THREADS", &HeapOptions::marker_threads, 1, threads::kMaxMarkers,
     false, "1 to 16"},
    {"drop_budget", "REEF_DROP_BUDGET", &HeapOptions::drop_budget, object::kLeastBudget,
     std::numeric_limits<uint64_t>::max(), true, "0 or at least 64", true},
    {"debug", "REEF_DEBUG", &HeapOptions::debug},
    {.name = "end", .variable = "REEF_END", .field = &HeapOptions::end, .range = kEnds},
});

// --- ranges ---

bool InRange(const Option& option, uint64_t value) {
  if (option.zero && value == 0) return true;
  return value >= option.least && value <= option.most;
}

template <typename T>
bool InRange(const Option& option, const T& value) {
  if constexpr (std::is_same_v<T, int>) {
    return value >= 0 && InRange(option, static_cast<uint64_t>(value));
  } else if constexpr (std::is_same_v<T, HeapEnd>) {
    return value == HeapEnd::kReport || value == HeapEnd::kFinalize || value == HeapEnd::kLeak;
  } else {
    return true;
  }
}

// What fields say of one another.
absl::Status CheckTogether(const HeapOptions& options) {
  if (options.max_bytes == 0 || options.soft_limit_bytes <= options.max_bytes) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("HeapOptions::soft_limit_bytes, ",
                                                 options.soft_limit_bytes, ", is above max_bytes, ",
                                                 options.max_bytes));
}

// --- values of variables ---

// A whole number in decimal digits, nothing before or behind it.
template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A number of bytes, perhaps with K, M, G or T (powers of 1024) behind it.
std::optional<uint64_t> ParseBytes(std::string_view text) {
  constexpr std::string_view kUnits = "KMGT";
  int shift = 0;
  if (!text.empty()) {
    const size_t unit = kUnits.find(absl::ascii_toupper(static_cast<unsigned char>(text.back())));
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<int>(unit) + 1);
      text.remove_suffix(1);
    }
  }
  const std::optional<uint64_t> number = ParseNumber<uint64_t>(text);
  if (!number || *number > std::numeric_limits<uint64_t>::max() >> shift) return std::nullopt;
  return *number << shift;
}

std::optional<bool> ParseBool(std::string_view text) {
  if (text == "1" || text == "true" || text == "on" || text == "yes") return true;
  if (text == "0" || text == "false" || text == "off" || text == "no") return false;
  return std::nullopt;
}

std::optional<HeapEnd> ParseEnd(std::string_view text) {
  if (text == "report") return HeapEnd::kReport;
  if (text == "finalize") return HeapEnd::kFinalize;
  if (text == "leak") return HeapEnd::kLeak;
  return std::nullopt;
}

// Names of flags with commas between them; nothing: none.
std::optional<DebugFlags> ParseFlags(std::string_view text) {
  DebugFlags flags;
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(text.data(), text.size()), ',', absl::SkipEmpty())) {
    if (part == "print_statistics") {
      flags.print_statistics = true;
    } else if (part == "print_garbage") {
      flags.print_garbage = true;
    } else if (part == "keep_garbage") {
      flags.keep_garbage = true;
    } else {
      return std::nullopt;
    }
  }
  return flags;
}

absl::Status Malformed(const char* variable, const char* wanted, std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("environment variable ", variable, " must be ", wanted, ", not \"",
                   absl::string_view(text.data(), text.size()), "\""));
}

struct Parsed {
  template <typename T>
  static std::optional<T> As(const Option& option, std::string_view text) {
    if constexpr (std::is_same_v<T, uint64_t>) {
      return option.counts ? ParseNumber<uint64_t>(text) : ParseBytes(text);
    }
    if constexpr (std::is_same_v<T, int>) return ParseNumber<int>(text);
    if constexpr (std::is_same_v<T, bool>) return ParseBool(text);
    if constexpr (std::is_same_v<T, DebugFlags>) return ParseFlags(text);
    if constexpr (std::is_same_v<T, HeapEnd>) return ParseEnd(text);
  }
  template <typename T>
  static const char* Wanted(const Option& option) {
    if constexpr (std::is_same_v<T, uint64_t>) {
      return option.counts ? "a whole number" : "a number of bytes, as 4096, 64M or 4G";
    }
    if constexpr (std::is_same_v<T, int>) return "a whole number";
    if constexpr (std::is_same_v<T, bool>) return "0 or 1 (or off, on)";
    if constexpr (std::is_same_v<T, HeapEnd>) return kEnds;
    if constexpr (std::is_same_v<T, DebugFlags>) {
      return "a list of print_statistics, print_garbage, keep_garbage, with commas";
    }
  }
};

absl::Status Apply(const Option& option, std::string_view text, HeapOptions* options) {
  return std::visit(
      [&](auto field) -> absl::Status {
        using T = std::remove_reference_t<decltype(options->*field)>;
        const std::optional<T> value = Parsed::As<T>(option, text);
        if (!value) return Malformed(option.variable, Parsed::Wanted<T>(option), text);
        if (!InRange(option, *value)) return Malformed(option.variable, option.range, text);
        // The program's own choice stands.
        if (options->*field == HeapOptions().*field) options->*field = *value;
        return absl::OkStatus();
      },
      option.field);
}

// --- the environment ---

// What is read elsewhere: lib/os/membarrier.cc, lib/os/chaos.cc, lib/collector/gate.cc.
absl::Status CheckSeed(std::string_view text) {
  const bool hex = absl::StartsWith(absl::string_view(text.data(), text.size()), "0x");
  const std::string_view digits = text.substr(hex ? 2 : 0);
  uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, value, hex ? 16 : 10);
  if (read.ec == std::errc() && read.ptr == end) return absl::OkStatus();
  return Malformed("REEF_SEED", "a whole number", text);
}
template <const char* kName>
absl::Status CheckBit(std::string_view text) {
  if (text == "0" || text == "1") return absl::OkStatus();
  return Malformed(kName, "0 or 1", text);
}

constexpr char kNoMembarrier[] = "REEF_NO_MEMBARRIER";
constexpr char kCollectorThread[] = "REEF_COLLECTOR_THREAD";

struct OtherVariable {
  const char* name;
  absl::Status (*check)(std::string_view text);
};
constexpr OtherVariable kOthers[] = {{kNoMembarrier, &CheckBit<kNoMembarrier>},
                                     {kCollectorThread, &CheckBit<kCollectorThread>},
                                     {"REEF_SEED", &CheckSeed}};

// How many letters must be put in, taken out or replaced to make one of the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

absl::Status Unknown(std::string_view name) {
  const std::vector<std::string> known = EnvironmentVariables();
  const auto nearest = std::min_element(known.begin(), known.end(),
                                        [name](const std::string& a, const std::string& b) {
                                          return EditDistance(name, a) < EditDistance(name, b);
                                        });
  return absl::InvalidArgumentError(absl::StrCat("unknown environment variable ",
                                                 absl::string_view(name.data(), name.size()),
                                                 ": did you mean ", *nearest, "?"));
}

absl::Status ApplyVariable(std::string_view name, std::string_view text, HeapOptions* options) {
  for (const Option& option : kOptions) {
    if (name == option.variable) return Apply(option, text, options);
  }
  for (const OtherVariable& other : kOthers) {
    if (name == other.name) return other.check(text);
  }
  return Unknown(name);
}

}  // namespace

absl::Status CheckOptions(const HeapOptions& options) {
  for (const Option& option : kOptions) {
    absl::Status status = std::visit(
        [&](auto field) -> absl::Status {
          const auto& value = options.*field;
          if (InRange(option, value)) return absl::OkStatus();
          if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) {
            return absl::InvalidArgumentError(absl::StrCat(
                "HeapOptions::", option.name, " must be ", option.range, ", not ", value));
          }
          if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(value)>>) {
            return absl::InvalidArgumentError(
                absl::StrCat("HeapOptions::", option.name, " must be ", option.range));
          }
          return absl::OkStatus();
        },
        option.field);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<HeapOptions> ResolveOptions(const HeapOptions& given) {
  if (absl::Status status = CheckOptions(given); !status.ok()) return status;
  constexpr std::string_view kPrefix = "REEF_";
  HeapOptions options = given;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.substr(0, kPrefix.size()) != kPrefix) continue;
    const size_t equals = std::min(text.find('='), text.size());
    const std::string_view value = text.substr(std::min(equals + 1, text.size()));
    absl::Status status = ApplyVariable(text.substr(0, equals), value, &options);
    if (!status.ok()) return status;
  }
  if (absl::Status status = CheckTogether(options); !status.ok()) return status;
  return options;
}

std::vector<std::string> EnvironmentVariables() {
  std::vector<std::string> names;
  names.reserve(std::size(kOptions) + std::size(kOthers));
  for (const Option& option : kOptions) names.emplace_back(option.variable);
  for (const OtherVariable& other : kOthers) names.emplace_back(other.name);
  return names;
}

int CountOptions() { return static_cast<int>(kOptions.size()); }

}  // namespace reef
