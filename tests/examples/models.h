// What the lock-free structures are held to, one operation at a time. kNone stands for null.
#ifndef REEF_TESTS_EXAMPLES_MODELS_H_
#define REEF_TESTS_EXAMPLES_MODELS_H_

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "tests/examples/linearizability.h"

namespace reef::test {

inline constexpr int64_t kNone = -1;

enum Kind : int {
  kPut,       // stack, queue: push `argument`. Set: insert, 1 if it was not there
  kTake,      // stack, queue: pop. Set: remove, 1 if it was there. Map: remove, the former value
  kLook,      // set: 1 if it is there. Map: the value
  kExchange,  // map: argument = key * kKeys + value; the former value
};
inline constexpr int64_t kKeys = 1000;

struct StackModel {
  std::vector<int64_t> items;
  bool Apply(const Operation& operation) {
    if (operation.kind == kPut) {
      items.push_back(operation.argument);
      return true;
    }
    if (items.empty()) return operation.result == kNone;
    const int64_t top = items.back();
    items.pop_back();
    return operation.result == top;
  }
  auto operator<=>(const StackModel&) const = default;
};

struct QueueModel {
  std::vector<int64_t> items;
  bool Apply(const Operation& operation) {
    if (operation.kind == kPut) {
      items.push_back(operation.argument);
      return true;
    }
    if (items.empty()) return operation.result == kNone;
    const int64_t first = items.front();
    items.erase(items.begin());
    return operation.result == first;
  }
  auto operator<=>(const QueueModel&) const = default;
};

struct SetModel {
  std::set<int64_t> keys;
  bool Apply(const Operation& operation) {
    const bool there = keys.contains(operation.argument);
    switch (operation.kind) {
      case kPut:
        keys.insert(operation.argument);
        return operation.result == (there ? 0 : 1);
      case kTake:
        keys.erase(operation.argument);
        return operation.result == (there ? 1 : 0);
      default:
        return operation.result == (there ? 1 : 0);
    }
  }
  auto operator<=>(const SetModel&) const = default;
};

struct MapModel {
  std::map<int64_t, int64_t> values;
  bool Apply(const Operation& operation) {
    const bool exchange = operation.kind == kExchange;
    const int64_t key = exchange ? operation.argument / kKeys : operation.argument;
    const auto found = values.find(key);
    const int64_t former = found == values.end() ? kNone : found->second;
    if (operation.kind == kTake) values.erase(key);
    if (exchange) values[key] = operation.argument % kKeys;
    return operation.result == former;
  }
  auto operator<=>(const MapModel&) const = default;
};

}  // namespace reef::test

#endif  // REEF_TESTS_EXAMPLES_MODELS_H_
