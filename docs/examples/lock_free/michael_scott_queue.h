// A lock-free queue, first in, first out (M. M. Michael and M. L. Scott, PODC 1996).
//
// What is missing from the textbook: version counters, the second look at head and tail after each
// read, and the copy of the value before its node may be gone. A scope keeps what was peeked at,
// and an unlinked node says so itself, by a mark in its link.
//
// A part of a managed object, or a managed object of its own. Any thread may enqueue and dequeue at
// any time. Both are lock-free and linearizable.
#ifndef REEF_EXAMPLES_LOCK_FREE_MICHAEL_SCOTT_QUEUE_H_
#define REEF_EXAMPLES_LOCK_FREE_MICHAEL_SCOTT_QUEUE_H_

#include <utility>

#include "reef/reef.h"

namespace lock_free {

template <typename T>
class MichaelScottQueue {
 public:
  // Its nodes, and what is enqueued, live in `heap`, as the queue itself.
  explicit MichaelScottQueue(reef::Heap& heap) : heap_(heap) {
    const reef::Ref<Node> first = heap_.Make<Node>(nullptr);
    head_.Store(first);
    tail_.Store(first);
  }
  // Node by node: published objects that hold one another would die one per grace period.
  ~MichaelScottQueue() {
    while (Dequeue() != nullptr) {
    }
  }

  // Null is no value: nothing is enqueued. Throws reef::OutOfMemory: then nothing has changed.
  void Enqueue(reef::Ref<T> value) {
    if (value == nullptr) return;
    const reef::Ref<Node> node = heap_.Make<Node>(std::move(value));
    const reef::ReadScope scope;
    for (Node* last = tail_.Peek(scope);;) {
      reef::Marked<Node> end;
      if (last->next.CompareExchange(scope, end, node)) {
        (void)tail_.CompareExchange(scope, last, node);  // or another thread has helped
        return;
      }
      Advance(scope, last);
      last = tail_.Peek(scope);
    }
  }

  // Null if the queue is empty.
  reef::Ref<T> Dequeue() {
    const reef::ReadScope scope;
    // In a collected queue's destructor the edges are gone.
    for (Node* first = head_.Peek(scope); first != nullptr;) {
      const reef::MarkedRef<Node> next = first->next.Load();
      if (next.mark == kUnlinked) {
        first = head_.Peek(scope);
        continue;
      }
      if (next.ref == nullptr) return nullptr;  // no node ever followed, so this is still the head
      // The tail is never behind the head: whoever links to an unlinked node would lose his own.
      if (tail_.Peek(scope) == first) Advance(scope, first);
      if (head_.CompareExchange(scope, first, next.ref)) {
        // The former head is this thread's, and so is the value. It is not to keep its successors
        // alive, and nobody may link to it.
        first->next.Store(nullptr, kUnlinked);
        return next.ref->value.Take();
      }
    }
    return nullptr;
  }

  void Trace(reef::Visitor& visitor) const { visitor.Visit(head_, tail_); }

 private:
  static constexpr uint32_t kUnlinked = 1;

  // `value` is null in the head, whose value has been taken.
  struct Node {
    explicit Node(reef::Ref<T> enqueued) : value(std::move(enqueued)) {}
    void Trace(reef::Visitor& visitor) const { visitor.Visit(next, value); }

    reef::AtomicMarkedMember<Node> next;
    reef::Member<T> value;
  };

  // Moves the tail from `last` to the node behind it, if there is one.
  void Advance(const reef::ReadScope& scope, Node* last) {
    if (reef::Ref<Node> next = last->next.Load().ref) {
      (void)tail_.CompareExchange(scope, last, std::move(next));
    }
  }

  reef::Heap& heap_;
  reef::AtomicMember<Node> head_;
  reef::AtomicMember<Node> tail_;
};

}  // namespace lock_free

#endif  // REEF_EXAMPLES_LOCK_FREE_MICHAEL_SCOTT_QUEUE_H_
