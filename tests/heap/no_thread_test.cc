// Where the system starts no threads: a heap cannot be made, with a typed error, and the child of a
// fork goes on without a collector thread.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/fork_support.h"
#include "tests/heap/support.h"

// Sanitizers do not follow into the children (fork_support.h), and have threads of their own.
#if !REEF_TEST_ASAN && !REEF_TEST_TSAN

namespace reef {
namespace {

using test::Life;
using test::Lives;
using test::RunChild;

// From now on this process starts no thread, and no other process. False if that cannot be.
bool ForbidThreads() {
  const auto refuse = [](unsigned call) -> std::array<sock_filter, 2> {
    return {{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN)}};
  };
  const auto clone = refuse(SYS_clone);
  const auto clone3 = refuse(SYS_clone3);
  std::array<sock_filter, 6> filter{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                     clone[0], clone[1], clone3[0], clone3[1],
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct Node {
  explicit Node(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Node> next;
};

Ref<Node> MakeList(Heap& heap, Lives& lives, int length) {
  Ref<Node> list;
  for (int i = 0; i < length; ++i) {
    Ref<Node> node = heap.Make<Node>(lives);
    node->next = std::move(list);
    list = std::move(node);
  }
  return list;
}

class NoThreadTest : public test::QuietHeapTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(RunChild([] { CHILD_CHECK(ForbidThreads()); }), "exit 0")
        << "the system has no seccomp filters, by which threads are forbidden here";
  }
};

// Without a heap before it.
TEST(NoThreadDeathTest, FirstHeapFailsWithAStatus) {
  const auto child = [] {
    if (!ForbidThreads()) std::abort();
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = Heap::Create(test::QuietOptions()).status();
      if (status.code() != absl::StatusCode::kResourceExhausted) std::abort();
      if (status.message().find("no thread") == std::string::npos) std::abort();
    }
    std::_Exit(7);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "");
}

TEST(NoThreadDeathTest, DefaultHeapSaysWhy) {
  const auto child = [] {
    if (ForbidThreads()) (void)Make<int>(1);
  };
  EXPECT_EXIT(child(), ::testing::KilledBySignal(SIGABRT), "starts no thread for the collector");
}

TEST_F(NoThreadTest, ChildCountsAndCollects) {
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(ForbidThreads());
              {
                const Ref<Node> list = MakeList(*heap_, lives_, 100'000);
                CHILD_CHECK(list->next);
              }
              CHILD_CHECK(lives_.now() == 0);
              for (int i = 1; i <= 3; ++i) {
                {
                  const Ref<Node> ring = heap_->Make<Node>(lives_);
                  ring->next = ring;
                }
                CHILD_CHECK(heap_->Collect().objects == 1);
                CHILD_CHECK(lives_.now() == 0);
              }
              CHILD_CHECK(heap_->Verify().ok());
              CHILD_CHECK(Heap::Create(test::QuietOptions()).status().code() ==
                          absl::StatusCode::kResourceExhausted);
              heap_.reset();
            }),
            "exit 0");
}

TEST_F(NoThreadTest, ChildLeavesNothingToAThreadThatIsNotThere) {
  HeapOptions options = test::QuietOptions();
  options.drop_budget = 64;
  heap_ = test::NewHeap(options);
  Ref<Node> parents;
  std::thread([&] { parents = heap_->Make<Node>(lives_); }).join();
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(ForbidThreads());
              parents.Reset();  // biased to a thread that has gone
              CHILD_CHECK(lives_.now() == 0);
              MakeList(*heap_, lives_, 10'000).Reset();
              CHILD_CHECK(lives_.now() == 0);
              MakeList(*heap_, lives_, 10'000).DropLater();
              CHILD_CHECK(lives_.now() == 0);
            }),
            "exit 0");
  parents.Reset();
}

TEST_F(NoThreadTest, ChildFailsAtTheLimit) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{8} << 20;
  heap_ = test::NewHeap(options);
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(ForbidThreads());
              std::vector<Ref<Node>> nodes;
              absl::StatusOr<Ref<Node>> node = heap_->TryMake<Node>(lives_);
              for (; node.ok(); node = heap_->TryMake<Node>(lives_)) {
                nodes.push_back(*std::move(node));
                nodes.back()->next = nodes.back();
              }
              CHILD_CHECK(node.status().code() == absl::StatusCode::kResourceExhausted);
              const size_t count = nodes.size();
              nodes.clear();
              // No destructor runs inside an allocation; a call of Collect runs them.
              CHILD_CHECK(!heap_->TryMake<Node>(lives_).ok());
              CHILD_CHECK(heap_->Collect().objects == count);
              CHILD_CHECK(heap_->TryMake<Node>(lives_).ok());
            }),
            "exit 0");
}

TEST_F(NoThreadTest, NobodyDrivesAThreadThatIsNotThere) {
  SetCollectorDriven(true);
  EXPECT_EQ(RunChild([&] {
              CHILD_CHECK(ForbidThreads());
              const absl::StatusOr<bool> more = DriveCollector(std::chrono::milliseconds(1));
              CHILD_CHECK(more.ok() && !*more);
            }),
            "exit 0");
  SetCollectorDriven(false);
}

}  // namespace
}  // namespace reef

#endif
