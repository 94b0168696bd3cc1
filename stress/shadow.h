// The shadow: a plain copy of the graph in numbers, outside the heap.
//
// Edges that are plain Members change under their object's lock, and the shadow with them. An
// atomic edge has no lock: each change adds 'number of the new target - number of the old one' to a
// sum, so that at rest the sum is the number of the present target.
#ifndef REEF_STRESS_SHADOW_H_
#define REEF_STRESS_SHADOW_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace reef::stress {

// The number of an object in its oracle; 0 is none.
using Number = uint32_t;

enum State : uint8_t { kUnused, kAlive, kDead };

inline constexpr int kMembers = 3;

// The edges of one object, in numbers.
struct Shadow {
  Number Next() const { return static_cast<Number>(next.load(std::memory_order_relaxed)); }
  std::mutex mutex;  // of the object's plain edges, and of those here
  Number members[kMembers] = {};
  Number leaf = 0;
  std::vector<Number> more;
  std::atomic<uint64_t> next{0};  // a sum of differences
  std::atomic<uint8_t> state{kUnused};
};

// All shadows, and which numbers are in use.
class ShadowGraph {
 public:
  explicit ShadowGraph(size_t objects) : shadows_(objects + 1) {
    for (size_t i = objects; i > 0; --i) free_.push_back(static_cast<Number>(i));
  }

  Shadow& operator[](Number number) { return shadows_[number]; }
  const Shadow& operator[](Number number) const { return shadows_[number]; }
  // One more than there are numbers.
  size_t size() const { return shadows_.size(); }

  // Any thread: a number that nobody has, or 0 when there is none.
  Number NewNumber() {
    const size_t at = given_.fetch_add(1, std::memory_order_relaxed);
    return at < free_.size() ? free_[at] : 0;
  }
  bool Short() const { return given_.load(std::memory_order_relaxed) > free_.size() / 4 * 3; }

  // While no thread runs: gives the numbers of the dead out again. How many died.
  size_t Recycle() {
    const size_t given = given_.exchange(0, std::memory_order_relaxed);
    free_.erase(free_.begin(), free_.begin() + static_cast<ptrdiff_t>(
                                                   given < free_.size() ? given : free_.size()));
    size_t died = 0;
    for (Number i = 1; i < shadows_.size(); ++i) {
      Shadow& shadow = shadows_[i];
      if (shadow.state.load(std::memory_order_relaxed) != kDead) continue;
      for (Number& member : shadow.members) member = 0;
      shadow.leaf = 0;
      shadow.more.clear();
      shadow.next.store(0, std::memory_order_relaxed);
      shadow.state.store(kUnused, std::memory_order_relaxed);
      free_.push_back(i);
      ++died;
    }
    return died;
  }

 private:
  std::vector<Shadow> shadows_;
  std::vector<Number> free_;      // constant while threads run
  std::atomic<size_t> given_{0};  // how many of them are in use; may run past the end
};

// The run, for messages.
inline std::atomic<uint64_t> g_seed{0};
inline std::atomic<uint64_t> g_epoch{0};

}  // namespace reef::stress

#endif  // REEF_STRESS_SHADOW_H_
