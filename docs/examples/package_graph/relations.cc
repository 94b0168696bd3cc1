#include "docs/examples/package_graph/relations.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace package_graph {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '+' || c == '.' || c == '_';
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// An operator, then something to compare with.
bool IsConstraint(std::string_view text) {
  // The longer ones first: "<" begins "<<".
  constexpr std::array<std::string_view, 7> kOperators = {"<<", "<=", ">=", ">>", "=", "<", ">"};
  for (const std::string_view op : kOperators) {
    if (text.starts_with(op)) return !Trim(text.substr(op.size())).empty();
  }
  return false;
}

// Recursive descent without the recursion: the grammar is three levels deep.
class RelationParser {
 public:
  RelationParser(std::string_view field, Relations& out) : field_(field), out_(out) {}

  std::optional<RelationError> Parse() {
    SkipSpace();
    if (AtEnd()) return std::nullopt;  // an empty field says nothing
    do {
      if (!ParseClause()) return std::move(error_);
    } while (Accept(','));
    if (!AtEnd()) Fail(Unexpected());
    return std::move(error_);
  }

 private:
  bool AtEnd() const { return at_ == field_.size(); }
  char Peek() const { return AtEnd() ? '\0' : field_[at_]; }

  void SkipSpace() {
    while (!AtEnd() && IsSpace(field_[at_])) ++at_;
  }

  bool Accept(char c) {
    if (Peek() != c) return false;
    ++at_;
    SkipSpace();
    return true;
  }

  bool Fail(std::string reason) {
    error_ = RelationError{at_, std::move(reason)};
    return false;
  }

  std::string Unexpected() const {
    if (Peek() == ')') return "unbalanced parenthesis";
    return absl::StrCat("unexpected '", std::string(1, Peek()), "'");
  }

  bool ParseClause() {
    const auto begin = static_cast<uint32_t>(out_.alternatives.size());
    do {
      if (!ParseAlternative()) return false;
    } while (Accept('|'));
    out_.clauses.push_back({begin, static_cast<uint32_t>(out_.alternatives.size())});
    return true;
  }

  bool ParseAlternative() {
    const std::string_view name = ParseWord();
    if (name.empty()) {
      const bool is_missing = AtEnd() || Peek() == ',' || Peek() == '|' || Peek() == '(';
      return Fail(is_missing ? "empty name" : Unexpected());
    }
    if (Accept(':') && ParseWord().empty()) return Fail("empty architecture");
    SkipSpace();
    std::string_view constraint;
    if (Peek() == '(') {
      if (!ParseGroup(')', &constraint)) return Fail("unbalanced parenthesis");
      if (!IsConstraint(constraint)) return Fail("a version constraint that compares nothing");
    }
    std::string_view passed_over;
    while (Peek() == '[' || Peek() == '<') {
      if (!ParseGroup(Peek() == '[' ? ']' : '>', &passed_over)) return Fail("unbalanced bracket");
    }
    out_.alternatives.push_back({name, constraint});
    return true;
  }

  std::string_view ParseWord() {
    const size_t begin = at_;
    while (!AtEnd() && IsNameCharacter(field_[at_])) ++at_;
    return field_.substr(begin, at_ - begin);
  }

  // From a bracket to its partner, with nothing in between that only a missing partner explains.
  bool ParseGroup(char close, std::string_view* inside) {
    const size_t end = field_.find_first_of(close == ')' ? "()|," : "[],|", at_ + 1);
    const size_t partner = close == '>' ? field_.find('>', at_ + 1) : end;
    if (partner == std::string_view::npos || field_[partner] != close) return false;
    *inside = Trim(field_.substr(at_ + 1, partner - at_ - 1));
    at_ = partner + 1;
    SkipSpace();
    return true;
  }

  const std::string_view field_;
  Relations& out_;
  size_t at_ = 0;
  std::optional<RelationError> error_;
};

}  // namespace

std::optional<RelationError> ParseRelations(std::string_view field, Relations& out) {
  return RelationParser(field, out).Parse();
}

}  // namespace package_graph
