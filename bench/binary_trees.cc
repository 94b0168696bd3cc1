// Binary trees, the program of the Computer Language Benchmarks Game: one tree to stretch memory,
// one that lives long, and many that live shortly, all of them built, walked and dropped by one
// thread.
#include <concepts>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include "bench/suite.h"

namespace bench {
namespace {

constexpr uint32_t kMinDepth = 4;
constexpr uint32_t kMaxDepth = 18;

template <typename Subject>
struct Node {
  using Handle = typename Subject::template Handle<Node>;
  typename Subject::template Edge<Node> left{};
  typename Subject::template Edge<Node> right{};

  Node() noexcept = default;
  Node(Handle&& l, Handle&& r) noexcept : left(std::move(l)), right(std::move(r)) {}

  void Trace(reef::Visitor& visitor) const
    requires std::same_as<Subject, Reef>
  {
    visitor.Visit(left, right);
  }
  uint32_t Count() const { return left ? 1 + left->Count() + right->Count() : 1; }
};

constexpr uint64_t NodesOf(uint32_t depth) { return (uint64_t{2} << depth) - 1; }
constexpr uint64_t TreesOf(uint32_t depth) {
  return uint64_t{1} << (kMaxDepth - depth + kMinDepth);
}
constexpr uint64_t NodesInAll() {
  uint64_t nodes = NodesOf(kMaxDepth + 1) + NodesOf(kMaxDepth);
  for (uint32_t depth = kMinDepth; depth <= kMaxDepth; depth += 2) {
    nodes += TreesOf(depth) * NodesOf(depth);
  }
  return nodes;
}

template <typename Subject>
typename Node<Subject>::Handle Build(uint32_t depth) {
  using Tree = Node<Subject>;
  if (depth == 0) return Subject::template Make<Tree>();
  auto left = Build<Subject>(depth - 1);
  auto right = Build<Subject>(depth - 1);
  return Subject::template Make<Tree>(std::move(left), std::move(right));
}

template <typename Subject>
void Drop(typename Node<Subject>::Handle tree) {
  if constexpr (std::is_pointer_v<decltype(tree)>) {
    if (tree->left != nullptr) {
      Drop<Subject>(tree->left);
      Drop<Subject>(tree->right);
    }
    Delete<Node<Subject>, typename Subject::Source>(tree);
  }
}

template <typename Subject>
void BuildCountDrop(uint32_t depth) {
  auto tree = Build<Subject>(depth);
  if (tree->Count() != NodesOf(depth)) std::abort();
  Drop<Subject>(std::move(tree));
}

// A rise means that birth of a traced object, a moved handle's way into an edge, or the death of a
// whole tree has become dearer. The collector has nothing to find here: if it shows, it runs in
// vain.
template <typename Subject>
double Trees(uint64_t /*operations*/) {
  const CpuTimer timer;
  BuildCountDrop<Subject>(kMaxDepth + 1);
  auto long_lived = Build<Subject>(kMaxDepth);
  for (uint32_t depth = kMinDepth; depth <= kMaxDepth; depth += 2) {
    for (uint64_t i = 0; i < TreesOf(depth); ++i) BuildCountDrop<Subject>(depth);
  }
  if (long_lived->Count() != NodesOf(kMaxDepth)) std::abort();
  Drop<Subject>(std::move(long_lived));
  return timer.Elapsed();
}

}  // namespace

void AddBinaryTrees(Suite& suite) {
  suite.push_back(Workload{.name = kBinaryTrees, .operations = NodesInAll(), .slow = true}
                      .Add(Column::kReef, Trees<Reef>)
                      .Add(Column::kGlibcNew, Trees<Raw<Glibc>>)
                      .Add(Column::kGlibcShared, Trees<Shared<Glibc>>)
                      .Add(Column::kMiNew, Trees<Raw<Mimalloc>>)
                      .Add(Column::kMiUnique, Trees<Unique<Mimalloc>>)
                      .Add(Column::kMiPlain, Trees<Intrusive<Mimalloc, PlainCount>>)
                      .Add(Column::kMiAtomic, Trees<Intrusive<Mimalloc, AtomicCount>>)
                      .Add(Column::kMiShared, Trees<Shared<Mimalloc>>));
}

}  // namespace bench
