// Figures as people write them.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_FORMAT_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_FORMAT_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace package_graph {

std::string Count(uint64_t number);               // 1,134,567
std::string Bytes(uint64_t bytes);                // 92.4 MiB
std::string Time(std::chrono::nanoseconds time);  // 1.38 s, 17.2 ms, 941 us, 80 ns

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_FORMAT_H_
