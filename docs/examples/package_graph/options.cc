#include "docs/examples/package_graph/options.h"

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace package_graph {
namespace {

// Takes "--name=VALUE", or "--name VALUE" and then the next argument too.
class ArgumentList {
 public:
  ArgumentList(int argc, char** argv) : argc_(argc), argv_(argv) {}

  bool AtEnd() const { return at_ >= argc_; }
  std::string_view Peek() const { return argv_[at_]; }
  std::string_view Next() { return argv_[at_++]; }

  // Whether the argument ahead is the option `name`; takes it then.
  bool TakeOption(std::string_view name, std::string& value) {
    const std::string_view argument = Peek();
    if (!argument.starts_with(name)) return false;
    const std::string_view rest = argument.substr(name.size());
    if (!rest.empty() && rest[0] != '=') return false;
    ++at_;
    value = rest.empty() ? std::string(AtEnd() ? "" : Next()) : std::string(rest.substr(1));
    return true;
  }

 private:
  const int argc_;
  char** const argv_;
  int at_ = 1;
};

absl::Status ParseNumber(const char* option, const std::string& value, int most, int& number) {
  if (absl::SimpleAtoi(value, &number) && number >= 1 && number <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " takes a number from 1 to ", most, ", not '", value, "'"));
}

}  // namespace

const char kUsage[] =
    R"(usage: package_graph [--seconds N] [--workers N] [FILE]

Builds the dependency graph of a package list on a Reef heap and serves queries about it, while the
graph is reloaded over and over. FILE: a list in the format of Debian's Packages files; without it,
everything that the distribution offers (apt-cache dumpavail, or else /var/lib/dpkg/status).

  --seconds N  how long to serve, 8 unless told
  --workers N  threads that answer queries, one for each core but one unless told
  --help       show this text
)";

absl::StatusOr<Options> ParseOptions(int argc, char** argv) {
  Options options;
  bool has_file = false;
  bool options_ended = false;
  ArgumentList arguments(argc, argv);
  while (!arguments.AtEnd()) {
    std::string value;
    absl::Status status;
    if (options_ended || !arguments.Peek().starts_with("-")) {
      if (has_file) return absl::InvalidArgumentError("more than one file");
      options.file = std::string(arguments.Next());
      if (options.file.empty()) return absl::InvalidArgumentError("the name of the file is empty");
      has_file = true;
    } else if (arguments.Peek() == "--") {
      arguments.Next();
      options_ended = true;
    } else if (arguments.Peek() == "--help" || arguments.Peek() == "-h") {
      arguments.Next();
      options.wants_help = true;
    } else if (arguments.TakeOption("--seconds", value)) {
      status = ParseNumber("--seconds", value, 86'400, options.seconds);
    } else if (arguments.TakeOption("--workers", value)) {
      status = ParseNumber("--workers", value, 256, options.workers);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown option '", std::string(arguments.Peek()), "'"));
    }
    if (!status.ok()) return status;
  }
  return options;
}

}  // namespace package_graph
