// A lock-free stack (R. K. Treiber, Systems Programming: Coping with Parallelism, IBM, 1986).
//
// Step for step the textbook's, without the version counter against ABA, and without the question
// when a popped node may be freed. A node that was peeked at in a scope is not used again before
// the scope ends, so a comparison with it needs neither.
//
// A part of a managed object, or a managed object of its own:
//
//   reef::Ref<TreiberStack<Job>> jobs = heap.Make<TreiberStack<Job>>(heap);
//
// Any thread may push and pop at any time. Both are lock-free and linearizable.
#ifndef REEF_EXAMPLES_LOCK_FREE_TREIBER_STACK_H_
#define REEF_EXAMPLES_LOCK_FREE_TREIBER_STACK_H_

#include <utility>

#include "reef/reef.h"

namespace lock_free {

template <typename T>
class TreiberStack {
 public:
  // Its nodes, and what is pushed, live in `heap`, as the stack itself.
  explicit TreiberStack(reef::Heap& heap) : heap_(heap) {}
  // Node by node: published objects that hold one another would die one per grace period.
  ~TreiberStack() {
    while (Pop() != nullptr) {
    }
  }

  // Null is no value: nothing is pushed. Throws reef::OutOfMemory: then nothing has changed.
  void Push(reef::Ref<T> value) {
    if (value == nullptr) return;
    reef::Ref<Node> top = top_.Load();
    const reef::Ref<Node> node = heap_.Make<Node>(std::move(value), top);
    while (!top_.CompareExchangeWeak(top, node)) node->below.Store(top);
  }

  // Null if the stack is empty.
  reef::Ref<T> Pop() {
    const reef::ReadScope scope;
    Node* top = top_.Peek(scope);
    while (top != nullptr && !top_.CompareExchangeWeak(scope, top, top->below.Load())) {
    }
    if (top == nullptr) return nullptr;
    // The node is this thread's now. It is not to keep those below it alive.
    top->below.Store(nullptr);
    return top->value.Take();
  }

  void Trace(reef::Visitor& visitor) const { visitor.Visit(top_); }

 private:
  struct Node {
    Node(reef::Ref<T> pushed, reef::Ref<Node> top)
        : below(std::move(top)), value(std::move(pushed)) {}
    void Trace(reef::Visitor& visitor) const { visitor.Visit(below, value); }

    reef::AtomicMember<Node> below;
    reef::Member<T> value;
  };

  reef::Heap& heap_;
  reef::AtomicMember<Node> top_;
};

}  // namespace lock_free

#endif  // REEF_EXAMPLES_LOCK_FREE_TREIBER_STACK_H_
