// A random graph that many threads change, with an oracle that says of each object whether it must
// be alive or dead.
//
// The shadow is a plain copy of the graph in numbers, outside the heap. Edges that are plain
// Members change under their object's lock, and the shadow with them. An atomic edge has no lock:
// each change adds 'number of the new target - number of the old one' to a sum, so that at rest the
// sum is the number of the present target. Threads hold roots, pass them on through queues and
// globals, and end after each epoch; their roots go to the threads of the next one.
//
// At the end of an epoch no thread runs. Then, after a collection, exactly the objects live that
// can be reached in the shadow, and their edges are what the shadow says. While threads run, each
// object that is touched is checked for signs of an early death: that ends the process, since the
// memory of a dead object may be anything.
#ifndef REEF_STRESS_ORACLE_H_
#define REEF_STRESS_ORACLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "reef/reef.h"

namespace reef::stress {

// The number of an object in its oracle; 0 is none.
using Number = uint32_t;

class Oracle {
 public:
  struct Options {
    int threads = 4;
    size_t objects = 20'000;  // numbers to give out; those of the dead are given out again
    size_t most_roots = 96;   // of each thread
    size_t steps = 20'000;    // of each thread in an epoch
  };

  // The oracle and its graph begin empty. The heap is for this oracle alone.
  Oracle(Heap& heap, const Options& options, uint64_t seed)
      : heap_(heap),
        options_(options),
        seed_(seed),
        shadows_(options.objects + 1),
        workers_(static_cast<size_t>(options.threads)),
        queues_(static_cast<size_t>(options.threads)) {
    last_seed_.store(seed, std::memory_order_relaxed);
    for (size_t i = options.objects; i > 0; --i) free_.push_back(static_cast<Number>(i));
  }
  ~Oracle() { DropAllRoots(); }
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  // Lets the threads change the graph; with `collect_constantly`, one more thread collects all
  // along.
  void RunEpoch(bool collect_constantly) {
    ++epoch_;
    std::atomic<bool> stop{false};
    std::thread collector;
    if (collect_constantly) {
      collector = std::thread([this, &stop] {
        while (!stop.load(std::memory_order_relaxed)) (void)heap_.Collect();
      });
    }
    std::vector<std::thread> threads;
    for (size_t i = 0; i < workers_.size(); ++i) {
      threads.emplace_back([this, i] {
        Worker& worker = workers_[i];
        worker.index = i;
        worker.random.seed(seed_ * 1'000'003 + epoch_ * 101 + i);
        for (size_t step = 0; step < options_.steps; ++step) Step(worker);
      });
    }
    for (std::thread& thread : threads) thread.join();
    stop.store(true, std::memory_order_relaxed);
    if (collector.joinable()) collector.join();
  }

  // Collects and compares; for moments at which no thread runs.
  absl::Status Check() {
    (void)heap_.Collect();
    std::vector<bool> reached(shadows_.size());
    std::vector<Number> next;
    size_t live = 0;
    const auto reach = [&](Number number) {
      if (number == 0 || reached[number]) return;
      reached[number] = true;
      ++live;
      next.push_back(number);
    };
    ForEachRoot([&](const Ref<Node>&, Number number) { reach(number); });
    for (Global& global : globals_) reach(global.Target());
    while (!next.empty()) {
      const Shadow& shadow = shadows_[next.back()];
      next.pop_back();
      for (const Number number : shadow.members) reach(number);
      for (const Number number : shadow.more) reach(number);
      reach(shadow.leaf);
      reach(shadow.Next());
    }
    for (Number i = 1; i < shadows_.size(); ++i) {
      const bool lives = shadows_[i].state.load(std::memory_order_acquire) == kAlive;
      if (lives && !reached[i]) return Violation("cannot be reached, and lives", i);
      if (!lives && reached[i]) return Violation("can be reached, and is dead", i);
    }
    if (absl::Status status = CompareEdges(live); !status.ok()) return status;
    if (absl::Status status = heap_.Verify(); !status.ok()) return status;
    live_ = live;
    died_ += Recycle();
    return absl::OkStatus();
  }

  void DropAllRoots() {
    ForEachRoot([](Ref<Node>& ref, Number) { ref.Reset(); });
    for (Worker& worker : workers_) worker.roots.clear();
    for (Queue& queue : queues_) queue.roots.clear();
    for (Global& global : globals_) (void)global.Exchange({});
  }

  size_t live() const { return live_; }  // at the last check
  size_t died() const { return died_; }  // of those checked so far

 private:
  enum State : uint8_t { kUnused, kAlive, kDead };
  static constexpr int kMembers = 3;
  static constexpr uint64_t kCanary = 0x5eed'ca5e'1ee7'c0de;
  static constexpr uint64_t kPoison = 0xdead'dead'dead'dead;

  // What all managed objects of the oracle have in common.
  class Life {
   public:
    Life(Oracle* oracle, Number number) : oracle_(oracle), number_(number) {
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
    std::atomic<uint8_t>& state() const { return oracle_->shadows_[number_].state; }
    [[noreturn]] void Fail(const char* what) const {
      // Nothing of the object can be trusted, its oracle included.
      std::fprintf(stderr, "oracle: object %u at %p %s (canary %llx, seed %llu)\n", number_,
                   static_cast<const void*>(this), what, static_cast<unsigned long long>(canary_),
                   static_cast<unsigned long long>(last_seed_.load(std::memory_order_relaxed)));
      std::abort();
    }

    uint64_t canary_ = kCanary;
    Oracle* const oracle_;
    const Number number_;
  };

  struct Leaf {
    Leaf(Oracle* oracle, Number number) : life(oracle, number) {}
    Life life;
  };

  struct Node {
    Node(Oracle* oracle, Number number) : life(oracle, number) {}
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

  struct Root {
    Ref<Node> ref;
    Number number = 0;
  };

  struct alignas(64) Worker {
    size_t index = 0;
    std::mt19937_64 random;
    std::vector<Root> roots;
  };

  struct Queue {
    std::mutex mutex;
    std::deque<Root> roots;
  };

  struct Global {
    Number Target() const { return static_cast<Number>(sum.load(std::memory_order_relaxed)); }
    Root Exchange(Root root) {
      const Number number = root.number;
      Root old = RootOf(ref.Exchange(std::move(root.ref)));
      sum.fetch_add(uint64_t{number} - old.number, std::memory_order_relaxed);
      return old;
    }
    AtomicRef<Node> ref;
    std::atomic<uint64_t> sum{0};
  };

  static Root RootOf(Ref<Node> ref) {
    if (!ref) return {};
    ref->life.Check();
    const Number number = ref->life.number();
    return {std::move(ref), number};
  }
  static size_t Below(Worker& worker, size_t bound) {
    return static_cast<size_t>(worker.random() % bound);
  }

  template <typename Function>
  void ForEachRoot(Function function) {
    for (Worker& worker : workers_) {
      for (Root& root : worker.roots) function(root.ref, root.number);
    }
    for (Queue& queue : queues_) {
      for (Root& root : queue.roots) function(root.ref, root.number);
    }
  }

  absl::Status Violation(const char* what, Number number) const {
    char text[160];
    (void)std::snprintf(text, sizeof text, "object %u %s (seed %llu, epoch %llu)", number, what,
                        static_cast<unsigned long long>(seed_),
                        static_cast<unsigned long long>(epoch_));
    return absl::InternalError(text);
  }

  // Walks the real graph beside the shadow; everything that can be reached is known to live.
  absl::Status CompareEdges(size_t live) {
    std::vector<bool> seen(shadows_.size());
    std::vector<std::pair<const Node*, Number>> next;
    size_t buffers = 0;
    bool same = true;
    const auto visit = [&](const Node* node, Number number) {
      if ((node == nullptr ? 0 : node->life.number()) != number) {
        same = false;
      } else if (node != nullptr && !seen[number]) {
        seen[number] = true;
        next.emplace_back(node, number);
      }
    };
    ForEachRoot([&](const Ref<Node>& ref, Number number) { visit(ref.get(), number); });
    for (const Global& global : globals_) visit(global.ref.Load().get(), global.Target());
    while (!next.empty()) {
      const auto [node, number] = next.back();
      next.pop_back();
      node->life.Check();
      const Shadow& shadow = shadows_[number];
      for (int i = 0; i < kMembers; ++i) visit(node->members[i].get(), shadow.members[i]);
      if (node->more.size() != shadow.more.size()) return Violation("has lost a child", number);
      for (size_t i = 0; i < shadow.more.size(); ++i) visit(node->more[i].get(), shadow.more[i]);
      if (node->more.capacity() != 0) ++buffers;
      if ((node->leaf ? node->leaf->life.number() : 0) != shadow.leaf) same = false;
      if (node->leaf) node->leaf->life.Check();
      visit(node->next.Load().get(), shadow.Next());
      if (!same) return Violation("leads elsewhere than its shadow", number);
    }
    if (!same) return Violation("is not what a root leads to", 0);
    const uint64_t counted = heap_.Stats().live_objects;
    if (counted != live + buffers) {
      std::fprintf(stderr, "oracle: %zu objects and %zu buffers, the heap counts %llu\n", live,
                   buffers, static_cast<unsigned long long>(counted));
      return Violation("is too many or too few in the heap's figures", 0);
    }
    return absl::OkStatus();
  }

  // Gives the numbers of the dead out again.
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

  // --- what the threads do ---

  Number NewNumber() {
    const size_t at = given_.fetch_add(1, std::memory_order_relaxed);
    return at < free_.size() ? free_[at] : 0;
  }
  bool Short() const { return given_.load(std::memory_order_relaxed) > free_.size() / 4 * 3; }

  void Keep(Worker& worker, Root root) {
    if (root.number == 0) return;
    if (worker.roots.size() >= options_.most_roots) Drop(worker);
    worker.roots.push_back(std::move(root));
  }
  void Drop(Worker& worker) {
    if (worker.roots.empty()) return;
    const size_t at = Below(worker, worker.roots.size());
    std::swap(worker.roots[at], worker.roots.back());
    worker.roots.pop_back();
  }
  Root& Pick(Worker& worker) {
    Root& root = worker.roots[Below(worker, worker.roots.size())];
    root.ref->life.Check();
    return root;
  }
  // A copy, or the root itself, which the thread then holds no more.
  Root Give(Worker& worker) {
    if (Below(worker, 2) == 0) return Pick(worker);
    const size_t at = Below(worker, worker.roots.size());
    std::swap(worker.roots[at], worker.roots.back());
    Root root = std::move(worker.roots.back());
    worker.roots.pop_back();
    return root;
  }

  Root New() {
    const Number number = NewNumber();
    if (number == 0) return {};
    return {heap_.Make<Node>(this, number), number};
  }

  void SetMember(const Root& from, size_t slot, Root to) {
    Shadow& shadow = shadows_[from.number];
    const std::lock_guard<std::mutex> lock(shadow.mutex);
    shadow.members[slot] = to.number;
    from.ref->members[slot] = std::move(to.ref);
  }

  void Step(Worker& worker) {
    if (worker.roots.empty()) {
      Keep(worker, New());
      if (worker.roots.empty()) Receive(worker);
      if (worker.roots.empty()) return;
    }
    const size_t draw = Below(worker, 100);
    if (Short() && draw < 25) {
      draw < 15 ? Cut(worker) : Drop(worker);
    } else if (draw < 12) {
      Keep(worker, New());
    } else if (draw < 20) {
      Drop(worker);
    } else if (draw < 32) {
      const Root from = Pick(worker);
      SetMember(from, Below(worker, kMembers), Below(worker, 3) == 0 ? Root() : Give(worker));
    } else if (draw < 40) {
      FromMember(worker);
    } else if (draw < 46) {
      SwapMembers(worker);
    } else if (draw < 56) {
      ChangeVector(worker);
    } else if (draw < 61) {
      ChangeLeaf(worker);
    } else if (draw < 71) {
      ChangeNext(worker);
    } else if (draw < 79) {
      ChangeGlobal(worker);
    } else if (draw < 84) {
      PeekInScope(worker);
    } else if (draw < 88) {
      Send(worker);
    } else if (draw < 92) {
      Receive(worker);
    } else if (draw < 95) {
      MakeRing(worker);
    } else if (draw < 97) {
      Cut(worker);
    } else {
      ChangeBias(worker);
    }
  }

  // A root to what an edge leads to, by a copy or by taking the edge's target out.
  void FromMember(Worker& worker) {
    const Root from = Pick(worker);
    const size_t slot = Below(worker, kMembers);
    const bool take = Below(worker, 3) == 0;
    Root found;
    {
      Shadow& shadow = shadows_[from.number];
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      Member<Node>& member = from.ref->members[slot];
      found.number = shadow.members[slot];
      if (take) shadow.members[slot] = 0;
      found.ref = take ? member.Take() : Ref<Node>(member);
    }
    CheckRoot(found);
    Keep(worker, std::move(found));
  }
  void CheckRoot(const Root& root) const {
    if (root.ref) root.ref->life.Check();
    const Number number = root.ref ? root.ref->life.number() : 0;
    if (number == root.number) return;
    std::fprintf(stderr, "oracle: a reference to %u leads to %u (seed %llu, epoch %llu)\n",
                 root.number, number, static_cast<unsigned long long>(seed_),
                 static_cast<unsigned long long>(epoch_));
    std::abort();
  }

  // Edge to edge.
  void SwapMembers(Worker& worker) {
    const Root a = Pick(worker);
    const Root b = Pick(worker);
    if (a.number == b.number) return;
    const size_t i = Below(worker, kMembers);
    const size_t j = Below(worker, kMembers);
    Shadow& shadow_a = shadows_[a.number];
    Shadow& shadow_b = shadows_[b.number];
    const std::scoped_lock lock(shadow_a.mutex, shadow_b.mutex);
    if (Below(worker, 2) == 0) {
      Ref<Node> out = a.ref->members[i].Take();  // a Member on the stack would be misuse
      a.ref->members[i] = std::move(b.ref->members[j]);
      b.ref->members[j] = std::move(out);
      std::swap(shadow_a.members[i], shadow_b.members[j]);
    } else {
      a.ref->members[i] = b.ref->members[j];
      shadow_a.members[i] = shadow_b.members[j];
    }
  }

  void ChangeVector(Worker& worker) {
    const Root from = Pick(worker);
    Root to = Give(worker);
    Shadow& shadow = shadows_[from.number];
    const std::lock_guard<std::mutex> lock(shadow.mutex);
    Vector<Node>& more = from.ref->more;
    const size_t draw = Below(worker, 16);
    if (shadow.more.size() > 12 || draw == 0) {
      more.clear();
      shadow.more.clear();
      if (draw % 2 == 0) more.shrink_to_fit();
    } else if (draw < 5 && !shadow.more.empty()) {
      const size_t at = Below(worker, shadow.more.size());
      more.swap_remove(at);
      shadow.more[at] = shadow.more.back();
      shadow.more.pop_back();
    } else if (draw < 7 && !shadow.more.empty()) {
      more.pop_back();
      shadow.more.pop_back();
    } else if (draw == 7) {
      more.shrink_to_fit();
    } else {
      more.push_back(std::move(to.ref));
      shadow.more.push_back(to.number);
    }
  }

  void ChangeLeaf(Worker& worker) {
    Ref<Leaf> leaf;
    Number number = 0;
    const size_t draw = Below(worker, 4);
    if (draw == 0) {
      number = NewNumber();
      if (number != 0) leaf = heap_.Make<Leaf>(this, number);
    } else if (draw < 3) {
      const Root from = Pick(worker);
      Shadow& shadow = shadows_[from.number];
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      number = shadow.leaf;
      leaf = from.ref->leaf;
      if (leaf) leaf->life.Check();
    }
    const Root to = Pick(worker);
    Shadow& shadow = shadows_[to.number];
    const std::lock_guard<std::mutex> lock(shadow.mutex);
    shadow.leaf = number;
    to.ref->leaf = std::move(leaf);
  }

  void ChangeNext(Worker& worker) {
    const Root from = Pick(worker);
    AtomicMember<Node>& next = from.ref->next;
    std::atomic<uint64_t>& sum = shadows_[from.number].next;
    const size_t draw = Below(worker, 8);
    if (draw < 3) {
      Root to = draw == 0 ? Root() : Give(worker);
      const Number number = to.number;
      const Root old = RootOf(next.Exchange(std::move(to.ref)));
      sum.fetch_add(uint64_t{number} - old.number, std::memory_order_relaxed);
    } else if (draw < 6) {
      Root expected = RootOf(next.Load());
      Root to = draw == 3 ? Root() : Give(worker);
      const Number number = to.number;
      if (next.CompareExchange(expected.ref, std::move(to.ref))) {
        sum.fetch_add(uint64_t{number} - expected.number, std::memory_order_relaxed);
      } else {
        Keep(worker, RootOf(std::move(expected.ref)));
      }
    } else {
      Keep(worker, RootOf(next.Load()));
    }
  }

  void ChangeGlobal(Worker& worker) {
    Global& global = globals_[Below(worker, kGlobals)];
    const size_t draw = Below(worker, 8);
    if (draw < 2) {
      Keep(worker, global.Exchange(draw == 0 ? Root() : Give(worker)));
    } else if (draw < 4) {
      Root expected = RootOf(global.ref.Load());
      Root to = Give(worker);
      const Number number = to.number;
      if (global.ref.CompareExchange(expected.ref, std::move(to.ref))) {
        global.sum.fetch_add(uint64_t{number} - expected.number, std::memory_order_relaxed);
      }
    } else {
      Keep(worker, RootOf(global.ref.Load()));
    }
  }

  // Goes along atomic edges without counting, and makes a root of what the last one's plain edge
  // leads to: whatever is peeked at still holds its edges.
  void PeekInScope(Worker& worker) {
    Root found;
    {
      const ReadScope scope;
      const Node* node = globals_[Below(worker, kGlobals)].ref.Peek(scope);
      for (size_t hops = Below(worker, 6); node != nullptr && hops != 0; --hops) {
        node->life.Check();
        const Node* next = node->next.Peek(scope);
        if (next == nullptr) break;
        node = next;
      }
      if (node == nullptr) return;
      node->life.Check();
      const size_t slot = Below(worker, kMembers);
      Shadow& shadow = shadows_[node->life.number()];
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      found.ref = node->members[slot];
      found.number = shadow.members[slot];
    }
    CheckRoot(found);
    Keep(worker, std::move(found));
  }

  void Send(Worker& worker) {
    Root root = Give(worker);
    Queue& queue = queues_[Below(worker, queues_.size())];
    const std::lock_guard<std::mutex> lock(queue.mutex);
    if (queue.roots.size() < options_.most_roots) queue.roots.push_back(std::move(root));
  }
  void Receive(Worker& worker) {
    std::deque<Root> received;
    {
      Queue& queue = queues_[worker.index];
      const std::lock_guard<std::mutex> lock(queue.mutex);
      received.swap(queue.roots);
    }
    for (Root& root : received) {
      CheckRoot(root);
      Keep(worker, std::move(root));
    }
  }

  // A cycle that is garbage from birth, unless one of its objects was handed to the roots.
  void MakeRing(Worker& worker) {
    const Root first = New();
    Root last = first;
    for (size_t count = Below(worker, 6); count != 0 && last.number != 0; --count) {
      Root next = New();
      if (next.number == 0) break;
      SetMember(next, 1, last);
      last = std::move(next);
    }
    if (first.number == 0) return;
    if (Below(worker, 3) == 0) SetMember(last, 2, Pick(worker));
    if (Below(worker, 4) == 0) Keep(worker, first);
    SetMember(first, 1, std::move(last));
  }

  void Cut(Worker& worker) {
    const Root from = Pick(worker);
    Shadow& shadow = shadows_[from.number];
    {
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      for (int i = 0; i < kMembers; ++i) {
        from.ref->members[i].Reset();
        shadow.members[i] = 0;
      }
      from.ref->leaf.Reset();
      shadow.leaf = 0;
      from.ref->more.clear();
      shadow.more.clear();
    }
    const Root old = RootOf(from.ref->next.Exchange(nullptr));
    shadow.next.fetch_sub(old.number, std::memory_order_relaxed);
  }

  void ChangeBias(Worker& worker) {
    Root& root = Pick(worker);
    if (Below(worker, 2) == 0) {
      root.ref = std::move(root.ref).Share();
    } else {
      root.ref = std::move(root.ref).Adopt();
    }
  }

  static constexpr size_t kGlobals = 8;
  static inline std::atomic<uint64_t> last_seed_{0};  // for messages

  Heap& heap_;
  const Options options_;
  const uint64_t seed_;
  uint64_t epoch_ = 0;
  std::vector<Shadow> shadows_;
  std::vector<Number> free_;      // constant while threads run
  std::atomic<size_t> given_{0};  // how many of them are in use; may run past the end
  std::vector<Worker> workers_;
  std::vector<Queue> queues_;
  Global globals_[kGlobals];
  size_t live_ = 0;
  size_t died_ = 0;
};

}  // namespace reef::stress

#endif  // REEF_STRESS_ORACLE_H_
