#include "docs/examples/package_graph/parser.h"

#include <algorithm>
#include <thread>
#include <utility>

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
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < texts.size(); ++i) {
    helpers.emplace_back([&, i] { parts[i] = ReadStanzas(texts[i]); });
  }
  parts[0] = ReadStanzas(texts[0]);
  for (std::thread& helper : helpers) helper.join();

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
