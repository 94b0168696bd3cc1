// The table of options, and the environment's say in it.
#include "lib/options.h"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

// Converts to anything: how many of them HeapOptions can be made from is how many fields it has.
struct Anything {
  template <typename T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};
template <typename T, typename... Fields>
constexpr int CountFields() {
  if constexpr (requires { T{Fields{}..., Anything{}}; }) {
    return CountFields<T, Fields..., Anything>();
  } else {
    return sizeof...(Fields);
  }
}

// Sets a variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { (void)setenv(name, value, 1); }
  ~Variable() { (void)unsetenv(name_.c_str()); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const std::string name_;
};

std::string ErrorOf(const char* name, const char* value) {
  const Variable variable(name, value);
  const absl::StatusOr<HeapOptions> options = ResolveOptions({});
  if (options.ok()) return "ok";
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(options.status().message());
}

HeapOptions With(const char* name, const char* value) {
  const Variable variable(name, value);
  const absl::StatusOr<HeapOptions> options = ResolveOptions({});
  EXPECT_TRUE(options.ok()) << options.status();
  return options.value_or(HeapOptions());
}

TEST(OptionsTest, EveryFieldIsInTheTable) {
  constexpr int kFunctions = 2;  // on_limit and finalizer_executor: no environment can say them
  EXPECT_EQ(CountOptions() + kFunctions, CountFields<HeapOptions>());
}

TEST(OptionsTest, EachVariableSetsItsField) {
  EXPECT_EQ(With("REEF_RESERVE_BYTES", "1073741824").reserve_bytes, uint64_t{1} << 30);
  EXPECT_EQ(With("REEF_MAX_BYTES", "64M").max_bytes, uint64_t{64} << 20);
  EXPECT_EQ(With("REEF_SOFT_LIMIT_BYTES", "32M").soft_limit_bytes, uint64_t{32} << 20);
  EXPECT_FALSE(With("REEF_RESPECT_CGROUP", "no").respect_cgroup);
  EXPECT_FALSE(With("REEF_HUGE_PAGES", "0").huge_pages);
  EXPECT_FALSE(With("REEF_AUTOMATIC_COLLECTION", "off").automatic_collection);
  EXPECT_TRUE(With("REEF_AUTOMATIC_COLLECTION", "yes").automatic_collection);
  EXPECT_EQ(With("REEF_GROWTH_PERCENT", "250").growth_percent, 250);
  EXPECT_EQ(With("REEF_GROWTH_BYTES", "4k").growth_bytes, 4096u);
  EXPECT_EQ(With("REEF_COLLECTOR_CPU_PERCENT", "7").collector_cpu_percent, 7);
  EXPECT_EQ(With("REEF_MARKER_THREADS", "16").marker_threads, 16);
  EXPECT_EQ(With("REEF_DROP_BUDGET", "1000").drop_budget, 1000u);
  EXPECT_EQ(With("REEF_DEBUG", "print_garbage,keep_garbage").debug,
            (DebugFlags{.print_garbage = true, .keep_garbage = true}));
  EXPECT_EQ(With("REEF_DEBUG", "").debug, DebugFlags());
  EXPECT_EQ(With("REEF_END", "leak").end, HeapEnd::kLeak);
  EXPECT_EQ(With("REEF_END", "finalize").end, HeapEnd::kFinalize);
  EXPECT_EQ(With("REEF_END", "report").end, HeapEnd::kReport);
}

TEST(OptionsTest, BytesHaveUnits) {
  const auto bytes = [](const char* text) { return With("REEF_GROWTH_BYTES", text).growth_bytes; };
  EXPECT_EQ(bytes("0"), 0u);
  EXPECT_EQ(bytes("3K"), uint64_t{3} << 10);
  EXPECT_EQ(bytes("3m"), uint64_t{3} << 20);
  EXPECT_EQ(bytes("3G"), uint64_t{3} << 30);
  EXPECT_EQ(bytes("3T"), uint64_t{3} << 40);
  EXPECT_EQ(bytes("18446744073709551615"), ~uint64_t{0});
}

TEST(OptionsTest, ProgramsOwnChoiceStands) {
  const Variable growth("REEF_GROWTH_PERCENT", "250");
  const Variable pages("REEF_HUGE_PAGES", "0");
  HeapOptions given;
  given.growth_percent = 33;
  const absl::StatusOr<HeapOptions> options = ResolveOptions(given);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->growth_percent, 33);
  EXPECT_FALSE(options->huge_pages);
}

TEST(OptionsTest, HeapIsMadeWithTheEnvironmentOfThatMoment) {
  {
    const Variable growth("REEF_GROWTH_PERCENT", "250");
    EXPECT_EQ(test::NewHeap()->Pacing().growth_percent, 250);
  }
  EXPECT_EQ(test::NewHeap()->Pacing().growth_percent, 100);
}

TEST(OptionsTest, MalformedValuesAreNamed) {
  const char* const bytes =
      "environment variable REEF_MAX_BYTES must be a number of bytes, as 4096, 64M or 4G, not ";
  for (const char* text : {"", "M", "4 G", "-1", "1e9", "64MB", "0x10", "12q", " 4096",
                           "18446744073709551616", "16777216T"}) {
    EXPECT_EQ(ErrorOf("REEF_MAX_BYTES", text), bytes + ('"' + std::string(text) + '"'));
  }
  EXPECT_EQ(ErrorOf("REEF_MARKER_THREADS", "two"),
            "environment variable REEF_MARKER_THREADS must be a whole number, not \"two\"");
  EXPECT_EQ(ErrorOf("REEF_DROP_BUDGET", "1K"),
            "environment variable REEF_DROP_BUDGET must be a whole number, not \"1K\"");
  EXPECT_EQ(ErrorOf("REEF_HUGE_PAGES", "2"),
            "environment variable REEF_HUGE_PAGES must be 0 or 1 (or off, on), not \"2\"");
  EXPECT_EQ(ErrorOf("REEF_DEBUG", "print_statistics,loud"),
            "environment variable REEF_DEBUG must be a list of print_statistics, print_garbage, "
            "keep_garbage, with commas, not \"print_statistics,loud\"");
  EXPECT_EQ(ErrorOf("REEF_END", "abort"),
            "environment variable REEF_END must be report, finalize or leak, not \"abort\"");
  EXPECT_EQ(ErrorOf("REEF_NO_MEMBARRIER", "maybe"),
            "environment variable REEF_NO_MEMBARRIER must be 0 or 1, not \"maybe\"");
}

TEST(OptionsTest, ValuesOutOfRangeAreNamed) {
  EXPECT_EQ(ErrorOf("REEF_GROWTH_PERCENT", "0"),
            "environment variable REEF_GROWTH_PERCENT must be 1 to 10,000, not \"0\"");
  EXPECT_EQ(ErrorOf("REEF_COLLECTOR_CPU_PERCENT", "-3"),
            "environment variable REEF_COLLECTOR_CPU_PERCENT must be 1 to 100, not \"-3\"");
  EXPECT_EQ(ErrorOf("REEF_MAX_BYTES", "4096"),
            "environment variable REEF_MAX_BYTES must be 0 or at least 1 MiB, not \"4096\"");
  EXPECT_EQ(ErrorOf("REEF_MAX_BYTES", "0"), "ok");
  EXPECT_EQ(ErrorOf("REEF_SOFT_LIMIT_BYTES", "4096"),
            "environment variable REEF_SOFT_LIMIT_BYTES must be 0 or at least 1 MiB, not \"4096\"");
  const Variable hard("REEF_MAX_BYTES", "2M");
  EXPECT_EQ(ErrorOf("REEF_SOFT_LIMIT_BYTES", "2M"), "ok");
  EXPECT_EQ(ErrorOf("REEF_SOFT_LIMIT_BYTES", "3M"),
            "HeapOptions::soft_limit_bytes, 3145728, is above max_bytes, 2097152");
  EXPECT_EQ(ErrorOf("REEF_DROP_BUDGET", "63"),
            "environment variable REEF_DROP_BUDGET must be 0 or at least 64, not \"63\"");
  EXPECT_EQ(ErrorOf("REEF_RESERVE_BYTES", "65T"),
            "environment variable REEF_RESERVE_BYTES must be 1 byte to 64 TiB, not \"65T\"");
}

TEST(OptionsTest, UnknownVariableIsAnErrorWithAHint) {
  EXPECT_EQ(ErrorOf("REEF_MAXBYTES", "64M"),
            "unknown environment variable REEF_MAXBYTES: did you mean REEF_MAX_BYTES?");
  EXPECT_EQ(ErrorOf("REEF_GROWTH_PERCENTS", "5"),
            "unknown environment variable REEF_GROWTH_PERCENTS: did you mean REEF_GROWTH_PERCENT?");
  EXPECT_EQ(ErrorOf("REEFS", "5"), "ok") << "another program's";
  const Variable unknown("REEF_DEBUGGING", "1");
  EXPECT_EQ(Heap::Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(OptionsTest, ProgramsOwnErrorsComeFirst) {
  HeapOptions options;
  options.marker_threads = 0;
  EXPECT_EQ(Heap::Create(options).status().message(),
            "HeapOptions::marker_threads must be 1 to 16, not 0");
}

TEST(OptionsDeathTest, DefaultHeapEndsTheProcessWithTheMessage) {
  EXPECT_DEATH(
      {
        const Variable variable("REEF_GROWTH_PERCENT", "lots");
        (void)Make<int>(1);
      },
      "reef: environment variable REEF_GROWTH_PERCENT must be a whole number, not \"lots\""
      "(.|\n)*hint: .*docs/options.md");
}

TEST(OptionsDeathTest, DefaultHeapIsMadeWithTheEnvironment) {
  EXPECT_EXIT(
      {
        const Variable variable("REEF_GROWTH_PERCENT", "250");
        (void)Make<int>(1);
        std::exit(DefaultHeap().Pacing().growth_percent == 250 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(OptionsTest, DocumentListsEveryVariableAndNoOther) {
  std::ifstream file(REEF_DOCS "/options.md");
  ASSERT_TRUE(file.is_open());
  std::stringstream text;
  text << file.rdbuf();
  const std::string page = text.str();
  std::set<std::string> documented;
  const std::string before = "\n| `REEF_";  // a row of a table
  for (size_t at = page.find(before); at != std::string::npos; at = page.find(before, at + 1)) {
    const size_t name = at + 4;
    documented.insert(page.substr(name, page.find('`', name) - name));
  }
  const std::vector<std::string> known = EnvironmentVariables();
  EXPECT_EQ(documented, std::set<std::string>(known.begin(), known.end()));
}

}  // namespace
}  // namespace reef
