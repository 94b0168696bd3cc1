// What the suites about fork share: a child that checks, and says by its end how it went; user code
// that waits to be let go; and all that a heap can do, in a child.
#ifndef REEF_TESTS_HEAP_FORK_SUPPORT_H_
#define REEF_TESTS_HEAP_FORK_SUPPORT_H_

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef::test {

// In a child: ends it, unless the condition holds. (A child has no business with the assertions of
// the process that it was copied from.)
#define CHILD_CHECK(condition)                                                                   \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      (void)dprintf(STDERR_FILENO, "%s:%d: in the child: %s\n", __FILE__, __LINE__, #condition); \
      _exit(1);                                                                                  \
    }                                                                                            \
  } while (false)

// A child that hangs is killed by this, and has failed. (Seconds; it does nothing but its test.)
inline constexpr unsigned kChildPatience = 60;

// Forks; the child runs `body` and ends with 0.
template <typename Body>
pid_t StartChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    (void)alarm(kChildPatience);
    // Not what sanitizers can follow: the thread sanitizer ends a child that starts a thread with a
    // lost one's id, and the address sanitizer's allocator stays locked if a lost thread was in it.
    // What they can see is the parent.
    if (!kSanitized) body();
    _exit(0);
  }
  return child;
}

// "exit 0" is success.
inline std::string EndOf(pid_t child) {
  if (child < 0) return "fork failed";
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return "waitpid failed";
  }
  if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status));
}

template <typename Body>
std::string RunChild(const Body& body) {
  return EndOf(StartChild(body));
}

// User code, on the collector thread perhaps, that stays where it is until it is let go. Once.
class Meeting {
 public:
  // By the user code: it has come; waits.
  void Arrive() {
    arrived_ = true;
    arrived_.notify_all();
    open_.wait(false);
  }
  // By the test: waits until it has come.
  void Await() const { arrived_.wait(false); }
  void LetGo() {
    open_ = true;
    open_.notify_all();
  }

 private:
  std::atomic<bool> arrived_{false};
  std::atomic<bool> open_{false};
};

class ForkTest : public QuietHeapTest {
 protected:
  struct Node {
    explicit Node(Lives& lives) : life(lives) {}
    void Trace(Visitor& v) const { v.Visit(next, shared); }
    Life life;
    Member<Node> next;
    AtomicMember<Node> shared;
  };
  struct Leaf {
    explicit Leaf(Lives& lives) : life(lives) {}
    Life life;
  };

  Ref<Node> MakeRing(Lives& lives, int length) {
    Ref<Node> first = heap_->Make<Node>(lives);
    Ref<Node> last = first;
    for (int i = 1; i < length; ++i) {
      last->next = heap_->Make<Node>(lives);
      last = last->next;
    }
    last->next = first;
    return first;
  }

  // All that a heap does, in a child. Its objects are its own; it may have any number of threads.
  void CheckHeap() {
    Lives lives;
    Ref<Node> list = heap_->Make<Node>(lives);
    for (int i = 0; i < 5000; ++i) {
      Ref<Node> node = heap_->Make<Node>(lives);
      node->next = std::move(list);
      list = std::move(node);
    }
    list.Reset();
    CHILD_CHECK(lives.now() == 0);

    (void)MakeRing(lives, 100);
    CHILD_CHECK(lives.now() == 100);
    CHILD_CHECK(heap_->Collect().objects >= 100);
    CHILD_CHECK(lives.now() == 0);

    AtomicRef<Node> place(heap_->Make<Node>(lives));
    std::thread([&] {
      place.Load()->next = heap_->Make<Node>(lives);
      Ref<Leaf> away = heap_->Make<Leaf>(lives);
      std::thread([moved = std::move(away)] {}).join();
    }).join();
    place.Store(nullptr);
    CHILD_CHECK(Eventually([&] { return lives.now() == 0; }));

    void* bytes = heap_->Allocate(100'000);
    heap_->Deallocate(bytes);
    const std::unique_ptr<Heap> other = NewHeap();
    CHILD_CHECK(other->Make<Leaf>(lives) != nullptr);
    CHILD_CHECK(lives.now() == 0);
  }
};

}  // namespace reef::test

#endif  // REEF_TESTS_HEAP_FORK_SUPPORT_H_
