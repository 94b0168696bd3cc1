// A lock-free hash map: a trie of 16-way branches over the bits of the hash (P. Bagwell, Ideal Hash
// Trees, 2001), changed by a compare-exchange on one slot (as in A. Prokopec et al., PPoPP 2012).
//
// It grows by putting a branch where two leaves meet, and shrinks again: a branch with at most one
// leaf is frozen slot by slot, by a mark, after which nobody can change it, and then replaced by
// what it holds. Who meets a frozen slot completes that first. What is missing from the textbook:
// generations, tomb nodes, and any thought of who frees what.
//
// A part of a managed object, or a managed object of its own. Any thread may do anything at any
// time. All operations are lock-free and linearizable, and O(log n); Get writes nothing but the
// count of the value that it returns. What throws reef::OutOfMemory has changed nothing.
#ifndef REEF_EXAMPLES_LOCK_FREE_HASH_MAP_H_
#define REEF_EXAMPLES_LOCK_FREE_HASH_MAP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "reef/reef.h"

namespace lock_free {

template <typename Key, typename T, typename Hash = std::hash<Key>>
class HashMap {
 public:
  // Its nodes, and the values, live in `heap`, as the map itself.
  explicit HashMap(reef::Heap& heap) : heap_(heap) {}

  // Null if the key is not there.
  reef::Ref<T> Get(const Key& key) const {
    const uint64_t hash = HashOf(key);
    const reef::ReadScope scope;
    const Branch* branch = &root_;
    for (int level = 0;; ++level) {
      // Frozen or not: it held this when it was replaced, and that cannot be before this call.
      const Node* node = branch->At(hash, level).Peek(scope).pointer;
      if (node == nullptr || node->is_leaf) {
        const Leaf* leaf = Find(AsLeaf(node), hash, key);
        return leaf == nullptr ? nullptr : reef::Ref<T>(leaf->value);
      }
      branch = static_cast<const Branch*>(node);
    }
  }

  // Stores a value and returns the former one. Null is no value: it removes the key.
  reef::Ref<T> Exchange(const Key& key, reef::Ref<T> value) {
    const uint64_t hash = HashOf(key);
    const reef::ReadScope scope;
    for (;;) {
      Place place = Descend(scope, hash);
      const Leaf* leaves = AsLeaf(place.seen.pointer);
      const Leaf* old = Find(leaves, hash, key);
      if (old == nullptr && value == nullptr) return nullptr;
      if (leaves != nullptr && leaves->hash != hash) {
        MoveDown(scope, place);
        continue;
      }
      reef::Ref<Leaf> rest = Copy(leaves, old);
      if (value != nullptr) rest = heap_.Make<Leaf>(hash, key, value, std::move(rest));
      reef::Ref<T> former = old == nullptr ? nullptr : reef::Ref<T>(old->value);
      const bool emptied = rest == nullptr;
      if (!place.slot->CompareExchange(scope, place.seen, std::move(rest))) continue;
      if (emptied) TryShrink(scope, hash);
      return former;
    }
  }
  void Set(const Key& key, reef::Ref<T> value) { (void)Exchange(key, std::move(value)); }
  reef::Ref<T> Remove(const Key& key) { return Exchange(key, nullptr); }

  void Trace(reef::Visitor& visitor) const { visitor.Visit(root_); }

 private:
  static constexpr uint32_t kFrozen = 1;  // the mark of a slot that will not change any more
  static constexpr int kBits = 4;

  struct Node {
    explicit Node(bool leaf) : is_leaf(leaf) {}
    const bool is_leaf;
  };
  using Slot = reef::AtomicMarkedMember<Node>;

  struct Branch : Node {
    Branch() : Node(false) {}
    void Trace(reef::Visitor& visitor) const {
      for (const Slot& slot : slots) visitor.Visit(slot);
    }
    static size_t Index(uint64_t hash, int level) { return hash >> (level * kBits) & 15; }
    Slot& At(uint64_t hash, int level) { return slots[Index(hash, level)]; }
    const Slot& At(uint64_t hash, int level) const { return slots[Index(hash, level)]; }

    std::array<Slot, 1 << kBits> slots;
  };

  // Never changes. Leaves whose keys have the same hash form a list.
  struct Leaf : Node {
    Leaf(uint64_t its_hash, Key its_key, reef::Ref<T> its_value, reef::Ref<Leaf> its_next)
        : Node(true),
          hash(its_hash),
          key(std::move(its_key)),
          value(std::move(its_value)),
          next(std::move(its_next)) {}
    void Trace(reef::Visitor& visitor) const { visitor.Visit(value, next); }

    const uint64_t hash;
    const Key key;
    const reef::Member<T> value;
    const reef::Member<Leaf> next;
  };

  // The end of a hash's way through the branches: a slot that holds a leaf or nothing.
  struct Place {
    Slot* above = nullptr;  // leads to the branch; null for the root
    Branch* branch = nullptr;
    Slot* slot = nullptr;
    reef::Marked<Node> seen = {};
    int level = 0;
  };

  uint64_t HashOf(const Key& key) const {  // std::hash often leaves the low bits alike
    uint64_t hash = hash_(key);
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
  }
  static const Leaf* AsLeaf(const Node* node) { return static_cast<const Leaf*>(node); }
  static const Leaf* Find(const Leaf* leaf, uint64_t hash, const Key& key) {
    if (leaf == nullptr || leaf->hash != hash) return nullptr;
    while (leaf != nullptr && !(leaf->key == key)) leaf = leaf->next.get();
    return leaf;
  }
  // The leaves of one hash without one of them.
  reef::Ref<Leaf> Copy(const Leaf* leaf, const Leaf* without) {
    reef::Ref<Leaf> copies;
    for (; leaf != nullptr; leaf = leaf->next.get()) {
      if (leaf == without) continue;
      copies = heap_.Make<Leaf>(leaf->hash, leaf->key, leaf->value, std::move(copies));
    }
    return copies;
  }

  Place Descend(const reef::ReadScope& scope, uint64_t hash) {
    Place place{.branch = &root_};
    for (;;) {
      place.slot = &place.branch->At(hash, place.level);
      place.seen = place.slot->Peek(scope);
      Node* const node = place.seen.pointer;
      if (place.seen.mark == kFrozen) {
        Contract(scope, *place.above, place.branch);
        place = Place{.branch = &root_};
      } else if (node == nullptr || node->is_leaf) {
        return place;
      } else {
        place.above = place.slot;
        place.branch = static_cast<Branch*>(node);
        ++place.level;
      }
    }
  }

  // Another hash's leaves are in the way: they move into a branch of their own.
  void MoveDown(const reef::ReadScope& scope, Place& place) {
    reef::Ref<Node> leaves = reef::TryRef(scope, place.seen.pointer);
    if (leaves == nullptr) return;  // they are gone already
    const reef::Ref<Branch> below = heap_.Make<Branch>();
    const uint64_t hash = AsLeaf(leaves.get())->hash;
    below->At(hash, place.level + 1).Store(std::move(leaves));
    (void)place.slot->CompareExchange(scope, place.seen, below);
  }

  // The value has been removed, whether there is memory to contract or not.
  void TryShrink(const reef::ReadScope& scope, uint64_t hash) {
    try {
      Shrink(scope, hash);
    } catch (const reef::OutOfMemory&) {
    }
  }

  // Contracts the branches on a hash's way, from below, that hold at most one leaf.
  void Shrink(const reef::ReadScope& scope, uint64_t hash) {
    for (;;) {
      const Place place = Descend(scope, hash);
      if (place.above == nullptr) return;
      int weight = 0;
      for (const Slot& slot : place.branch->slots) {
        const Node* node = slot.Peek(scope).pointer;
        if (node != nullptr) weight += node->is_leaf ? 1 : 2;
      }
      if (weight > 1) return;
      Contract(scope, *place.above, place.branch);
    }
  }

  // Freezes `branch`, then replaces it in `above` by its only leaf, by nothing, or, where other
  // threads were faster, by a copy. Only that takes memory; if there is none the branch stays
  // frozen, for the next one to come this way. If `above` has changed, another thread has done so,
  // or `above` is frozen itself, and whoever comes this way begins there.
  void Contract(const reef::ReadScope& scope, Slot& above, Branch* branch) {
    reef::Ref<Node> rest;
    int weight = 0;
    for (Slot& slot : branch->slots) {
      reef::Marked<Node> seen = slot.Peek(scope);
      while (seen.mark != kFrozen && !slot.CompareExchangeMark(scope, seen, kFrozen)) {
      }
      if (seen.pointer == nullptr) continue;
      weight += seen.pointer->is_leaf ? 1 : 2;
      rest = slot.Load().ref;
    }
    if (weight > 1) rest = CopyOf(*branch);
    reef::Marked<Node> expected{branch};
    (void)above.CompareExchange(scope, expected, std::move(rest));
  }
  reef::Ref<Branch> CopyOf(const Branch& frozen) {
    reef::Ref<Branch> copy = heap_.Make<Branch>();
    for (size_t i = 0; i < frozen.slots.size(); ++i) {
      copy->slots[i].Store(frozen.slots[i].Load().ref);
    }
    return copy;
  }

  reef::Heap& heap_;
  [[no_unique_address]] Hash hash_;
  Branch root_;
};

}  // namespace lock_free

#endif  // REEF_EXAMPLES_LOCK_FREE_HASH_MAP_H_
