#include "docs/examples/package_graph/stanzas.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace package_graph {
namespace {

// The fields that matter here; a stanza has twenty others.
enum Field { kPackage, kVersion, kPreDepends, kDepends, kProvides, kFields };
constexpr std::array<std::string_view, kFields> kFieldNames = {"Package", "Version", "Pre-Depends",
                                                               "Depends", "Provides"};

std::optional<Field> FieldNamed(std::string_view name) {
  for (size_t i = 0; i < kFieldNames.size(); ++i) {
    // Field names do not distinguish case.
    if (name.size() == kFieldNames[i].size() &&
        strncasecmp(name.data(), kFieldNames[i].data(), name.size()) == 0) {
      return static_cast<Field>(i);
    }
  }
  return std::nullopt;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

class StanzaReader {
 public:
  StanzaList Read(std::string_view text) {
    while (!text.empty()) {
      ++list_.lines;
      const size_t end = std::min(text.find('\n'), text.size());
      ReadLine(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    EndStanza();
    return std::move(list_);
  }

 private:
  struct Value {
    std::string_view text;
    size_t line = 0;  // 0: the stanza does not have this field
  };

  void ReadLine(std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return EndStanza();
    if (line[0] == '#') return;  // a comment
    if (first_line_ == 0) first_line_ = list_.lines;
    if (line[0] == ' ' || line[0] == '\t') {
      ContinueField(line);
    } else {
      BeginField(line);
    }
  }

  void BeginField(std::string_view line) {
    is_in_field_ = true;
    current_.reset();
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      return Fail(list_.lines, "a line that is no \"Field: value\"");
    }
    current_ = FieldNamed(line.substr(0, colon));
    if (!current_) return;
    Value& value = values_[*current_];
    if (value.line != 0) {
      return Fail(list_.lines, absl::StrCat("a second ", std::string(kFieldNames[*current_]),
                                            " field; is an empty line missing?"));
    }
    value = {line.substr(colon + 1), list_.lines};
  }

  void ContinueField(std::string_view line) {
    if (!is_in_field_) Fail(list_.lines, "a folded line that continues no field");
    if (!current_) return;
    Value& value = values_[*current_];
    const char* end = line.data() + line.size();
    value.text = {value.text.data(), static_cast<size_t>(end - value.text.data())};
  }

  // The first fault is the one reported.
  void Fail(size_t line, std::string reason) {
    if (!fault_) fault_ = BadStanza{line, std::move(reason)};
  }

  void EndStanza() {
    if (first_line_ != 0) {
      if (values_[kPackage].line != 0) ++list_.named;
      ParsedStanza stanza;
      if (!fault_) Understand(stanza);
      if (fault_) {
        list_.bad.push_back(*std::move(fault_));
      } else {
        list_.stanzas.push_back(stanza);
      }
    }
    values_ = {};
    current_.reset();
    fault_.reset();
    first_line_ = 0;
    is_in_field_ = false;
  }

  void Understand(ParsedStanza& stanza) {
    stanza.package = Trim(values_[kPackage].text);
    stanza.version = Trim(values_[kVersion].text);
    if (stanza.package.empty()) return Fail(first_line_, "no Package field");
    if (stanza.version.empty()) {
      return Fail(first_line_,
                  absl::StrCat("no Version field in package ", std::string(stanza.package)));
    }
    const Range before = EndsOfDepends();
    const size_t provided = list_.provides.alternatives.size();
    ReadRelations(kPreDepends, list_.depends);
    ReadRelations(kDepends, list_.depends);
    ReadRelations(kProvides, list_.provides);
    if (fault_) {  // forget what the good part of the stanza brought
      list_.depends.clauses.resize(before.begin);
      list_.depends.alternatives.resize(before.end);
      list_.provides.alternatives.resize(provided);
    }
    list_.provides.clauses.clear();  // Provides names packages; it offers no choice
    stanza.depends = {before.begin, EndsOfDepends().begin};
    stanza.provides = {static_cast<uint32_t>(provided),
                       static_cast<uint32_t>(list_.provides.alternatives.size())};
  }

  Range EndsOfDepends() const {
    return {static_cast<uint32_t>(list_.depends.clauses.size()),
            static_cast<uint32_t>(list_.depends.alternatives.size())};
  }

  void ReadRelations(Field field, Relations& out) {
    const Value& value = values_[field];
    if (value.line == 0) return;
    const auto error = ParseRelations(value.text, out);
    if (!error) return;
    const auto fault_at = value.text.begin() + static_cast<std::ptrdiff_t>(error->offset);
    const auto folds = std::count(value.text.begin(), fault_at, '\n');
    Fail(value.line + static_cast<size_t>(folds),
         absl::StrCat(error->reason, " in ", std::string(kFieldNames[field]), " of package ",
                      std::string(Trim(values_[kPackage].text))));
  }

  StanzaList list_;
  // The stanza that is being read.
  std::array<Value, kFields> values_;
  std::optional<Field> current_;
  std::optional<BadStanza> fault_;
  size_t first_line_ = 0;  // 0: between stanzas
  bool is_in_field_ = false;
};

}  // namespace

StanzaList ReadStanzas(std::string_view text) { return StanzaReader().Read(text); }

}  // namespace package_graph
