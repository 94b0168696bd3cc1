#include "docs/examples/package_graph/parser.h"

#include <algorithm>

#include "docs/examples/package_graph/parallel.h"

namespace package_graph {
namespace {

std::vector<std::string_view> SplitAtStanzas(std::string_view text, size_t parts) {
  std::vector<std::string_view> result;
  for (size_t left = parts; left > 1; --left) {
    const size_t blank = text.find("\n\n", text.size() / left);
    if (blank == std::string_view::npos) break;
    result.push_back(text.substr(0, blank + 2));
    text.remove_prefix(blank + 2);
  }
  result.push_back(text);
  return result;
}

}  // namespace

std::vector<StanzaList> ParsePackageList(std::string_view text, int threads) {
  const auto texts = SplitAtStanzas(text, static_cast<size_t>(std::max(threads, 1)));
  std::vector<StanzaList> parts(texts.size());
  RunOnThreads(texts.size(), [&](size_t i) { parts[i] = ReadStanzas(texts[i]); });

  size_t lines_before = 0;
  for (StanzaList& part : parts) {
    for (BadStanza& bad : part.bad) bad.line += lines_before;
    lines_before += part.lines;
  }
  return parts;
}

std::vector<BadStanza> BadStanzas(const std::vector<StanzaList>& parts) {
  std::vector<BadStanza> result;
  for (const StanzaList& part : parts) {
    result.insert(result.end(), part.bad.begin(), part.bad.end());
  }
  return result;
}

}  // namespace package_graph
