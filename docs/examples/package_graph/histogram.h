// How often which time occurred: counts in buckets 3 % wide, from a nanosecond to minutes.
//
// One writer; read after it has ended. Adding a value is a few instructions and allocates nothing,
// so measuring does not disturb what is measured.
#ifndef DOCS_EXAMPLES_PACKAGE_GRAPH_HISTOGRAM_H_
#define DOCS_EXAMPLES_PACKAGE_GRAPH_HISTOGRAM_H_

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace package_graph {

class Histogram {
 public:
  void Add(std::chrono::nanoseconds time) {
    const auto value = static_cast<uint64_t>(std::max<int64_t>(time.count(), 0));
    ++buckets_[std::min(BucketOf(value), kBuckets - 1)];
    ++count_;
    max_ = std::max(max_, time);
  }

  void Merge(const Histogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  uint64_t count() const { return count_; }
  std::chrono::nanoseconds max() const { return max_; }

  // The time that `share` of all values do not exceed, rounded up to the end of its bucket.
  std::chrono::nanoseconds Percentile(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen > wanted) return std::min(std::chrono::nanoseconds(LastOf(i)), max_);
    }
    return max_;
  }

 private:
  // Up to 2^5 every value has its bucket; above, every doubling has 2^5 of them.
  static constexpr size_t kBits = 5;
  static constexpr size_t kBuckets = 34 << kBits;

  static size_t BucketOf(uint64_t value) {
    const auto width = static_cast<size_t>(std::bit_width(value));
    if (width <= kBits + 1) return value;
    const size_t shift = width - kBits - 1;
    return (shift << kBits) + static_cast<size_t>(value >> shift);
  }

  static int64_t LastOf(size_t bucket) {
    if (bucket < (size_t{2} << kBits)) return static_cast<int64_t>(bucket);
    const size_t shift = (bucket >> kBits) - 1;
    const size_t first = (bucket & ((size_t{1} << kBits) - 1)) + (size_t{1} << kBits);
    return static_cast<int64_t>(((first + 1) << shift) - 1);
  }

  std::vector<uint64_t> buckets_ = std::vector<uint64_t>(kBuckets);
  uint64_t count_ = 0;
  std::chrono::nanoseconds max_{};
};

}  // namespace package_graph

#endif  // DOCS_EXAMPLES_PACKAGE_GRAPH_HISTOGRAM_H_
