// The managed objects of an oracle. Each knows its number, keeps its state in its shadow, and is
// checked for signs of an early death whenever it is touched: that ends the process, since the
// memory of a dead object may be anything.
#ifndef REEF_STRESS_SUBJECTS_H_
#define REEF_STRESS_SUBJECTS_H_

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "reef/reef.h"
#include "stress/shadow.h"

namespace reef::stress {

inline constexpr uint64_t kCanary = 0x5eed'ca5e'1ee7'c0de;
inline constexpr uint64_t kPoison = 0xdead'dead'dead'dead;

// What all managed objects of the oracle have in common.
class Life {
 public:
  Life(ShadowGraph* shadows, Number number) : shadows_(shadows), number_(number) {
    if (state().exchange(kAlive, std::memory_order_relaxed) != kUnused) Fail("is born twice");
  }
  ~Life() {
    Check();
    if (state().exchange(kDead, std::memory_order_release) != kAlive) Fail("dies twice");
    canary_ = kPoison;
  }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  Number number() const { return number_; }
  void Check() const {
    if (canary_ != kCanary) Fail("is in use, and its canary is gone");
    if (state().load(std::memory_order_relaxed) != kAlive) Fail("is in use, and dead");
  }

 private:
  std::atomic<uint8_t>& state() const { return (*shadows_)[number_].state; }
  [[noreturn]] void Fail(const char* what) const {
    // Nothing of the object can be trusted, its shadow included.
    std::fprintf(stderr, "oracle: object %u at %p %s (canary %llx, seed %llu)\n", number_,
                 static_cast<const void*>(this), what, static_cast<unsigned long long>(canary_),
                 static_cast<unsigned long long>(g_seed.load(std::memory_order_relaxed)));
    std::abort();
  }

  uint64_t canary_ = kCanary;
  ShadowGraph* const shadows_;
  const Number number_;
};

struct Leaf {
  Leaf(ShadowGraph* shadows, Number number) : life(shadows, number) {}
  Life life;
};

struct Node {
  Node(ShadowGraph* shadows, Number number) : life(shadows, number) {}
  void Trace(Visitor& v) const {
    for (const Member<Node>& member : members) v.Visit(member);
    v.Visit(more, leaf, next);
  }
  Life life;
  Member<Node> members[kMembers];
  Vector<Node> more;
  Member<Leaf> leaf;
  AtomicMember<Node> next;
};

}  // namespace reef::stress

#endif  // REEF_STRESS_SUBJECTS_H_
