// Threads that stand still for long, in a system call or inside a ReadScope, hold up neither
// collections nor anybody's frees.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  Node(test::Lives& lives, int value) : life(lives), number(value) {}
  ~Node() { number = 0; }
  void Trace(Visitor& v) const { v.Visit(next); }
  test::Life life;
  int number;
  Member<Node> next;
};

class SuspendedThreadStory : public test::QuietHeapTest {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(pipe_), 0); }
  void TearDown() override {
    QuietHeapTest::TearDown();
    (void)close(pipe_[0]);
    (void)close(pipe_[1]);
  }

  // Blocks in read() until LetGo.
  void Block() const {
    char byte = 0;
    EXPECT_EQ(read(pipe_[0], &byte, 1), 1);
  }
  void LetGo() const { EXPECT_EQ(write(pipe_[1], "x", 1), 1); }

  void MakeCycle() {
    const Ref<Node> a = heap_->Make<Node>(lives_, 1);
    a->next = heap_->Make<Node>(lives_, 2);
    a->next->next = a;
  }

  int pipe_[2] = {-1, -1};
};

TEST_F(SuspendedThreadStory, CollectionsGoOnWhileAThreadIsInASystemCall) {
  std::promise<void> ready;
  std::thread thread([&] {
    const Ref<Node> held = heap_->Make<Node>(lives_, 7);
    MakeCycle();
    ready.set_value();
    Block();
    EXPECT_EQ(held->number, 7);
  });
  ready.get_future().wait();
  for (int i = 0; i < 10; ++i) {
    for (int j = 0; j < 100; ++j) MakeCycle();
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 1) << "after collection " << i;
  }
  LetGo();
  thread.join();
}

TEST_F(SuspendedThreadStory, CollectionsGoOnWhileAReadScopeIsOpen) {
  AtomicRef<Node> published(heap_->Make<Node>(lives_, 9));
  std::promise<void> ready;
  std::thread thread([&] {
    const ReadScope scope;
    const Node* peeked = published.Peek(scope);
    ready.set_value();
    Block();
    EXPECT_EQ(peeked->number, 9);  // replaced long ago, and still whole
  });
  ready.get_future().wait();
  published.Store(heap_->Make<Node>(lives_, 10));
  for (int i = 0; i < 10; ++i) {
    for (int j = 0; j < 100; ++j) MakeCycle();
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 2) << "after collection " << i;  // the peeked one and its successor
  }
  LetGo();
  thread.join();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 1);
  published.Store(nullptr);
}

TEST_F(SuspendedThreadStory, DropsGoOnWhileAReadScopeIsOpen) {
  std::promise<void> ready;
  std::thread thread([&] {
    const ReadScope scope;
    ready.set_value();
    Block();
  });
  ready.get_future().wait();
  for (int i = 0; i < 10'000; ++i) {
    Ref<Node> node = heap_->Make<Node>(lives_, 1);
    node->next = heap_->Make<Node>(lives_, 2);
    node.Reset();
    ASSERT_EQ(lives_.now(), 0);  // never published: at once, whoever reads
  }
  LetGo();
  thread.join();
}

// A cycle of published objects under a scope may outlive that scope, and no more.
TEST_F(SuspendedThreadStory, PublishedCycleIsGoneOnceTheScopeHasEnded) {
  AtomicRef<Node> published;
  {
    Ref<Node> a = heap_->Make<Node>(lives_, 3);
    a->next = heap_->Make<Node>(lives_, 4);
    a->next->next = a;
    published.Store(std::move(a));
  }
  std::promise<void> ready;
  std::thread thread([&] {
    const ReadScope scope;
    const Node* peeked = published.Peek(scope);
    ready.set_value();
    Block();
    EXPECT_EQ(peeked->number, 3);
    EXPECT_EQ(peeked->next->number, 4);
  });
  ready.get_future().wait();
  published.Store(nullptr);
  for (int i = 0; i < 3; ++i) {
    (void)heap_->Collect();
    EXPECT_EQ(lives_.now(), 2);
  }
  LetGo();
  thread.join();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
}

}  // namespace
}  // namespace reef
