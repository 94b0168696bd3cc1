// Recorded histories of concurrent operations, and the search for an order that explains one.
//
// A history is linearizable if its operations can be put in a sequence in which each of them has
// the result that the model gives, and none stands before one that had ended when it began. The
// search tries every operation that may come next, and gives up where it has been before with the
// same operations done and the same state. (Wing and Gong, Testing and verifying concurrent
// objects, 1993; the memory of where it has been: Lowe, Testing for linearizability, 2016.)
//
// A model is copied, compared (<), and has `bool Apply(const Operation&)`: carries the operation
// out; false if its result would have been another one.
#ifndef REEF_TESTS_EXAMPLES_LINEARIZABILITY_H_
#define REEF_TESTS_EXAMPLES_LINEARIZABILITY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

namespace reef::test {

struct Operation {
  int thread;
  int kind;  // the model's business, as the next two
  int64_t argument;
  int64_t result;
  uint64_t begin;  // places in the one order of all begins and ends
  uint64_t end;
};

// At most 64 operations.
using History = std::vector<Operation>;

inline std::ostream& operator<<(std::ostream& out, const Operation& operation) {
  return out << "thread " << operation.thread << " [" << operation.begin << ", " << operation.end
             << "] kind " << operation.kind << " (" << operation.argument
             << ") = " << operation.result;
}
inline std::ostream& operator<<(std::ostream& out, const History& history) {
  for (const Operation& operation : history) out << operation << "\n";
  return out;
}

// The clock of one history. Its read-modify-writes are one order that agrees with real time: what
// ended before another operation began has the smaller place.
class HistoryClock {
 public:
  // Runs `body`, which returns the result, and notes it.
  template <typename Body>
  void Record(History* history, int thread, int kind, int64_t argument, const Body& body) {
    Operation operation{thread, kind, argument, 0, now_.fetch_add(1), 0};
    operation.result = body();
    operation.end = now_.fetch_add(1);
    history->push_back(operation);
  }

 private:
  std::atomic<uint64_t> now_{0};
};

template <typename Model>
class Linearizer {
 public:
  explicit Linearizer(const History& history) : history_(history) {}
  bool Run(const Model& initial) { return Search(0, initial); }

 private:
  bool Search(uint64_t done, const Model& state) {
    // What began after the first end of an open operation cannot come before that one.
    uint64_t first_end = ~uint64_t{0};
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!Has(done, i) && history_[i].end < first_end) first_end = history_[i].end;
    }
    if (first_end == ~uint64_t{0}) return true;  // nothing is left
    for (size_t i = 0; i < history_.size(); ++i) {
      if (Has(done, i) || history_[i].begin > first_end) continue;
      Model next = state;
      if (!next.Apply(history_[i])) continue;
      const uint64_t then = done | uint64_t{1} << i;
      if (seen_.emplace(then, next).second && Search(then, next)) return true;
    }
    return false;
  }
  static bool Has(uint64_t done, size_t i) { return (done >> i & 1) != 0; }

  const History& history_;
  std::set<std::pair<uint64_t, Model>> seen_;
};

template <typename Model>
bool IsLinearizable(const History& history, const Model& initial = {}) {
  return Linearizer<Model>(history).Run(initial);
}

}  // namespace reef::test

#endif  // REEF_TESTS_EXAMPLES_LINEARIZABILITY_H_
