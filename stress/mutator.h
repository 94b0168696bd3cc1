// A mutator: what one thread of an oracle does to the graph, one random step after the other, to
// the shadow as to the objects.
#ifndef REEF_STRESS_MUTATOR_H_
#define REEF_STRESS_MUTATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "reef/reef.h"
#include "stress/scene.h"
#include "stress/shadow.h"
#include "stress/subjects.h"

namespace reef::stress {

class alignas(64) Mutator {
 public:
  // `index` is the place of its queue.
  Mutator(Scene& scene, size_t index) : scene_(scene), index_(index) {}

  void Seed(uint64_t seed) { random_.seed(seed); }

  void Step() {
    if (roots_.empty()) {
      Keep(New());
      if (roots_.empty()) Receive();
      if (roots_.empty()) return;
    }
    const size_t draw = Below(100);
    if (scene_.shadows.Short() && draw < 25) {
      draw < 15 ? Cut() : Drop();
    } else if (draw < 12) {
      Keep(New());
    } else if (draw < 20) {
      Drop();
    } else if (draw < 32) {
      const Root from = Pick();
      SetMember(from, Below(kMembers), Below(3) == 0 ? Root() : Give());
    } else if (draw < 40) {
      FromMember();
    } else if (draw < 46) {
      SwapMembers();
    } else if (draw < 56) {
      ChangeVector();
    } else if (draw < 61) {
      ChangeLeaf();
    } else if (draw < 71) {
      ChangeNext();
    } else if (draw < 79) {
      ChangeGlobal();
    } else if (draw < 84) {
      PeekInScope();
    } else if (draw < 88) {
      Send();
    } else if (draw < 92) {
      Receive();
    } else if (draw < 95) {
      MakeRing();
    } else if (draw < 97) {
      Cut();
    } else {
      ChangeBias();
    }
  }

  // For moments at which it does no step.
  std::vector<Root>& roots() { return roots_; }

 private:
  size_t Below(size_t bound) { return static_cast<size_t>(random_() % bound); }

  void Keep(Root root) {
    if (root.number == 0) return;
    if (roots_.size() >= scene_.options.most_roots) Drop();
    roots_.push_back(std::move(root));
  }
  void Drop() {
    if (roots_.empty()) return;
    const size_t at = Below(roots_.size());
    std::swap(roots_[at], roots_.back());
    roots_.pop_back();
  }
  Root& Pick() {
    Root& root = roots_[Below(roots_.size())];
    root.ref->life.Check();
    return root;
  }
  // A copy, or the root itself, which the thread then holds no more.
  Root Give() {
    if (Below(2) == 0) return Pick();
    const size_t at = Below(roots_.size());
    std::swap(roots_[at], roots_.back());
    Root root = std::move(roots_.back());
    roots_.pop_back();
    return root;
  }

  Root New() {
    const Number number = scene_.shadows.NewNumber();
    if (number == 0) return {};
    return {scene_.heap.Make<Node>(&scene_.shadows, number), number};
  }

  void SetMember(const Root& from, size_t slot, Root to) {
    Shadow& shadow = scene_.shadows[from.number];
    const std::lock_guard<std::mutex> lock(shadow.mutex);
    shadow.members[slot] = to.number;
    from.ref->members[slot] = std::move(to.ref);
  }

  // A root to what an edge leads to, by a copy or by taking the edge's target out.
  void FromMember() {
    const Root from = Pick();
    const size_t slot = Below(kMembers);
    const bool take = Below(3) == 0;
    Root found;
    {
      Shadow& shadow = scene_.shadows[from.number];
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      Member<Node>& member = from.ref->members[slot];
      found.number = shadow.members[slot];
      if (take) shadow.members[slot] = 0;
      found.ref = take ? member.Take() : Ref<Node>(member);
    }
    CheckRoot(found);
    Keep(std::move(found));
  }
  void CheckRoot(const Root& root) const {
    if (root.ref) root.ref->life.Check();
    const Number number = root.ref ? root.ref->life.number() : 0;
    if (number == root.number) return;
    std::fprintf(stderr, "oracle: a reference to %u leads to %u (seed %llu, epoch %llu)\n",
                 root.number, number,
                 static_cast<unsigned long long>(g_seed.load(std::memory_order_relaxed)),
                 static_cast<unsigned long long>(g_epoch.load(std::memory_order_relaxed)));
    std::abort();
  }

  // Edge to edge.
  void SwapMembers() {
    const Root a = Pick();
    const Root b = Pick();
    if (a.number == b.number) return;
    const size_t i = Below(kMembers);
    const size_t j = Below(kMembers);
    Shadow& shadow_a = scene_.shadows[a.number];
    Shadow& shadow_b = scene_.shadows[b.number];
    const std::scoped_lock lock(shadow_a.mutex, shadow_b.mutex);
    if (Below(2) == 0) {
      Ref<Node> out = a.ref->members[i].Take();  // a Member on the stack would be misuse
      a.ref->members[i] = std::move(b.ref->members[j]);
      b.ref->members[j] = std::move(out);
      std::swap(shadow_a.members[i], shadow_b.members[j]);
    } else {
      a.ref->members[i] = b.ref->members[j];
      shadow_a.members[i] = shadow_b.members[j];
    }
  }

  void ChangeVector() {
    const Root from = Pick();
    Root to = Give();
    Shadow& shadow = scene_.shadows[from.number];
    const std::lock_guard<std::mutex> lock(shadow.mutex);
    Vector<Node>& more = from.ref->more;
    const size_t draw = Below(16);
    if (shadow.more.size() > 12 || draw == 0) {
      more.clear();
      shadow.more.clear();
      if (draw % 2 == 0) more.shrink_to_fit();
    } else if (draw < 5 && !shadow.more.empty()) {
      const size_t at = Below(shadow.more.size());
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

  void ChangeLeaf() {
    Ref<Leaf> leaf;
    Number number = 0;
    const size_t draw = Below(4);
    if (draw == 0) {
      number = scene_.shadows.NewNumber();
      if (number != 0) leaf = scene_.heap.Make<Leaf>(&scene_.shadows, number);
    } else if (draw < 3) {
      const Root from = Pick();
      Shadow& shadow = scene_.shadows[from.number];
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      number = shadow.leaf;
      leaf = from.ref->leaf;
      if (leaf) leaf->life.Check();
    }
    const Root to = Pick();
    Shadow& shadow = scene_.shadows[to.number];
    const std::lock_guard<std::mutex> lock(shadow.mutex);
    shadow.leaf = number;
    to.ref->leaf = std::move(leaf);
  }

  void ChangeNext() {
    const Root from = Pick();
    AtomicMember<Node>& next = from.ref->next;
    std::atomic<uint64_t>& sum = scene_.shadows[from.number].next;
    const size_t draw = Below(8);
    if (draw < 3) {
      Root to = draw == 0 ? Root() : Give();
      const Number number = to.number;
      const Root old = RootOf(next.Exchange(std::move(to.ref)));
      sum.fetch_add(uint64_t{number} - old.number, std::memory_order_relaxed);
    } else if (draw < 6) {
      Root expected = RootOf(next.Load());
      Root to = draw == 3 ? Root() : Give();
      const Number number = to.number;
      if (next.CompareExchange(expected.ref, std::move(to.ref))) {
        sum.fetch_add(uint64_t{number} - expected.number, std::memory_order_relaxed);
      } else {
        Keep(RootOf(std::move(expected.ref)));
      }
    } else {
      Keep(RootOf(next.Load()));
    }
  }

  void ChangeGlobal() {
    Global& global = scene_.globals[Below(Scene::kGlobals)];
    const size_t draw = Below(8);
    if (draw < 2) {
      Keep(global.Exchange(draw == 0 ? Root() : Give()));
    } else if (draw < 4) {
      Root expected = RootOf(global.ref.Load());
      Root to = Give();
      const Number number = to.number;
      if (global.ref.CompareExchange(expected.ref, std::move(to.ref))) {
        global.sum.fetch_add(uint64_t{number} - expected.number, std::memory_order_relaxed);
      }
    } else {
      Keep(RootOf(global.ref.Load()));
    }
  }

  // Goes along atomic edges without counting, and makes a root of what the last one's plain edge
  // leads to: whatever is peeked at still holds its edges.
  void PeekInScope() {
    Root found;
    {
      const ReadScope scope;
      const Node* node = scene_.globals[Below(Scene::kGlobals)].ref.Peek(scope);
      for (size_t hops = Below(6); node != nullptr && hops != 0; --hops) {
        node->life.Check();
        const Node* next = node->next.Peek(scope);
        if (next == nullptr) break;
        node = next;
      }
      if (node == nullptr) return;
      node->life.Check();
      const size_t slot = Below(kMembers);
      Shadow& shadow = scene_.shadows[node->life.number()];
      const std::lock_guard<std::mutex> lock(shadow.mutex);
      found.ref = node->members[slot];
      found.number = shadow.members[slot];
    }
    CheckRoot(found);
    Keep(std::move(found));
  }

  void Send() {
    Root root = Give();
    Queue& queue = scene_.queues[Below(scene_.queues.size())];
    const std::lock_guard<std::mutex> lock(queue.mutex);
    if (queue.roots.size() < scene_.options.most_roots) queue.roots.push_back(std::move(root));
  }
  void Receive() {
    std::deque<Root> received;
    {
      Queue& queue = scene_.queues[index_];
      const std::lock_guard<std::mutex> lock(queue.mutex);
      received.swap(queue.roots);
    }
    for (Root& root : received) {
      CheckRoot(root);
      Keep(std::move(root));
    }
  }

  // A cycle that is garbage from birth, unless one of its objects was handed to the roots.
  void MakeRing() {
    const Root first = New();
    Root last = first;
    for (size_t count = Below(6); count != 0 && last.number != 0; --count) {
      Root next = New();
      if (next.number == 0) break;
      SetMember(next, 1, last);
      last = std::move(next);
    }
    if (first.number == 0) return;
    if (Below(3) == 0) SetMember(last, 2, Pick());
    if (Below(4) == 0) Keep(first);
    SetMember(first, 1, std::move(last));
  }

  void Cut() {
    const Root from = Pick();
    Shadow& shadow = scene_.shadows[from.number];
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

  void ChangeBias() {
    Root& root = Pick();
    if (Below(2) == 0) {
      root.ref = std::move(root.ref).Share();
    } else {
      root.ref = std::move(root.ref).Adopt();
    }
  }

  Scene& scene_;
  const size_t index_;
  std::mt19937_64 random_;
  std::vector<Root> roots_;
};

}  // namespace reef::stress

#endif  // REEF_STRESS_MUTATOR_H_
