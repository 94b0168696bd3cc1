// Runs one piece of work on several threads.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_PARALLEL_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_PARALLEL_H_

#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace package_graph {

// Calls work(0) to work(count - 1), each on a thread of its own, the first on the calling one, and
// waits for all. If any throws, throws what the first of them has thrown.
template <typename Work>
void RunOnThreads(size_t count, const Work& work) {
  std::vector<std::exception_ptr> errors(count);
  const auto run = [&](size_t i) noexcept {
    try {
      work(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    helpers.reserve(count);
    for (size_t i = 1; i < count; ++i) helpers.emplace_back(run, i);
    run(0);
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_PARALLEL_H_
