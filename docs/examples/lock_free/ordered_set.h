// A lock-free ordered set, a sorted list (T. L. Harris, DISC 2001; M. M. Michael, SPAA 2002).
//
// A node is removed by a mark in its own link, which from then on does not change; after that any
// thread may unlink it. What is missing from the textbook: hazard pointers or version counters,
// their validation at every step, and lists of nodes to be freed.
//
// A part of a managed object, or a managed object of its own. Any thread may do anything at any
// time. All operations are lock-free and linearizable, and O(n); Contains writes nothing.
#ifndef REEF_EXAMPLES_LOCK_FREE_ORDERED_SET_H_
#define REEF_EXAMPLES_LOCK_FREE_ORDERED_SET_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "reef/reef.h"

namespace lock_free {

template <typename Key, typename Less = std::less<Key>>
class OrderedSet {
 public:
  // Its nodes live in `heap`, as the set itself.
  explicit OrderedSet(reef::Heap& heap) : heap_(heap) {}
  // Node by node: published objects that hold one another would die one per grace period.
  ~OrderedSet() {
    const reef::ReadScope scope;
    while (Node* first = first_.Peek(scope).pointer) Unlink(scope, first_, first);
  }

  // False if the key is there already.
  bool Insert(Key key) {
    const reef::Ref<Node> node = heap_.Make<Node>(std::move(key));
    const reef::ReadScope scope;
    for (;;) {
      const Place place = Find(scope, node->key);
      if (place.found) return false;
      reef::Ref<Node> next = reef::TryRef(scope, place.node);
      if (next == nullptr && place.node != nullptr) continue;  // it was removed and is dead
      node->next.Store(std::move(next));
      reef::Marked<Node> expected{place.node};
      if (place.link->CompareExchange(scope, expected, node)) return true;
    }
  }

  // False if the key is not there.
  bool Remove(const Key& key) {
    const reef::ReadScope scope;
    for (;;) {
      const Place place = Find(scope, key);
      if (!place.found) return false;
      reef::Marked<Node> next = place.node->next.Peek(scope);
      while (next.mark == kLinked) {
        if (place.node->next.CompareExchangeMark(scope, next, kRemoved)) {
          Unlink(scope, *place.link,
                 place.node);  // if it fails, the next one to come along does it
          return true;
        }
      }
    }
  }

  bool Contains(const Key& key) const {
    const reef::ReadScope scope;
    const Link* link = &first_;
    for (;;) {
      const reef::Marked<Node> next = link->Peek(scope);
      if (next.mark == kUnlinked) {  // cut off under our feet: from the start
        link = &first_;
      } else if (next.pointer == nullptr || less_(key, next.pointer->key)) {
        return false;
      } else if (less_(next.pointer->key, key)) {
        link = &next.pointer->next;
      } else {
        return next.pointer->next.Peek(scope).mark == kLinked;
      }
    }
  }

  void Trace(reef::Visitor& visitor) const { visitor.Visit(first_); }

 private:
  struct Node;
  using Link = reef::AtomicMarkedMember<Node>;
  // What a node's own link says of the node.
  enum Mark : uint32_t { kLinked, kRemoved, kUnlinked };

  struct Node {
    explicit Node(Key its_key) : key(std::move(its_key)) {}
    void Trace(reef::Visitor& visitor) const { visitor.Visit(next); }

    const Key key;
    Link next;
  };

  // Where a key is, or belongs: the link that leads to `node`, the first one not less than it.
  struct Place {
    Link* link;
    Node* node;
    bool found;
  };

  // Unlinks on its way what was removed.
  Place Find(const reef::ReadScope& scope, const Key& key) {
    Link* link = &first_;
    for (;;) {
      const reef::Marked<Node> next = link->Peek(scope);
      Node* const node = next.pointer;
      if (next.mark != kLinked) {  // the node that we stand on was removed: from the start
        link = &first_;
      } else if (node == nullptr) {
        return {link, node, false};
      } else if (node->next.Peek(scope).mark != kLinked) {
        Unlink(scope, *link, node);  // done, or `link` has changed: look at it again
      } else if (!less_(node->key, key)) {
        return {link, node, !less_(key, node->key)};
      } else {
        link = &node->next;
      }
    }
  }

  // Takes a removed node out of the list, if it still hangs on `link`, and cuts it off, so that it
  // keeps no other node alive. While `link` is unmarked and leads to it, nobody else has done so.
  static void Unlink(const reef::ReadScope& scope, Link& link, Node* node) {
    reef::Marked<Node> expected{node};
    if (link.CompareExchange(scope, expected, node->next.Load().ref)) {
      node->next.Store(nullptr, kUnlinked);
    }
  }

  reef::Heap& heap_;
  [[no_unique_address]] Less less_;
  Link first_;  // never marked
};

}  // namespace lock_free

#endif  // REEF_EXAMPLES_LOCK_FREE_ORDERED_SET_H_
