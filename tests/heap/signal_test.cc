// Signals are the program's: the library installs no handler, its threads take none, and no system
// call is interrupted by what it does.

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;

struct Node {
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Node> next;
};

// Rings to collect, retired objects, drops away from home: all that the collector thread does.
void MakeWork(Heap& heap) {
  AtomicRef<Node> place;
  for (int i = 0; i < 200; ++i) {
    const Ref<Node> ring = heap.Make<Node>();
    ring->next = ring;
    place.Store(heap.Make<Node>());
    if (i % 20 == 0) {
      Ref<Node> away = heap.Make<Node>();
      std::thread([moved = std::move(away)] {}).join();
    }
  }
}

// The value of a line of a /proc status file.
std::string StatusOf(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) == 0) return line.substr(key.size());
  }
  return "";
}

std::atomic<int> g_handled{0};
void CountSignal(int /*signal*/) { g_handled.fetch_add(1); }

class SignalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    HeapOptions options = test::QuietOptions();
    options.marker_threads = 3;
    heap_ = test::NewHeap(options);
  }
  std::unique_ptr<Heap> heap_;
};

TEST_F(SignalTest, NoHandlerIsInstalled) {
  const auto child = [] {
    const std::string before = StatusOf("/proc/self/status", "SigCgt:");
    MakeWork(DefaultHeap());
    (void)DefaultHeap().Collect();
    std::_Exit(before == StatusOf("/proc/self/status", "SigCgt:") && !before.empty() ? 0 : 1);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

// While the program's own threads block a signal, it waits: there is no other thread to take it.
TEST_F(SignalTest, SignalsAreNotDeliveredOnTheLibrarysThreads) {
  sigset_t mine;
  sigset_t before;
  (void)sigemptyset(&mine);
  (void)sigaddset(&mine, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &mine, &before), 0);
  struct sigaction action = {};
  struct sigaction former = {};
  action.sa_handler = &CountSignal;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &former), 0);
  g_handled = 0;
  ASSERT_EQ(kill(getpid(), SIGUSR1), 0);
  for (int i = 0; i < 20; ++i) {
    MakeWork(*heap_);
    (void)heap_->Collect();
  }
  sigset_t pending;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGUSR1), 1);
  EXPECT_EQ(g_handled.load(), 0);
  // Here, and at once, when it is let in.
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_EQ(g_handled.load(), 1);
  (void)sigaction(SIGUSR1, &former, nullptr);
}

#if !REEF_TEST_TSAN && !REEF_TEST_ASAN  // whose run-times have a thread of their own
// The collector thread's, and oneTBB's, which inherit them.
TEST_F(SignalTest, TheLibrarysThreadsBlockAllSignals) {
  const auto child = [] {
    HeapOptions options = test::QuietOptions();
    options.marker_threads = 3;
    const std::unique_ptr<Heap> heap = test::NewHeap(options);
    const Ref<Node> kept = heap->Make<Node>();
    Ref<Node> last = kept;
    for (int i = 0; i < 100'000; ++i) {
      const Ref<Node> node = heap->Make<Node>();
      last->next = node;
      last = node;
    }
    MakeWork(*heap);
    (void)heap->Collect();
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, nullptr);
    // All but those that cannot be blocked, or that the C library keeps for itself.
    const std::string blocked = StatusOf("/proc/thread-self/status", "SigBlk:");
    int others = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      if (task.path().filename() == std::to_string(gettid())) continue;
      ++others;
      const std::string mask = StatusOf(task.path() / "status", "SigBlk:");
      if (mask != blocked) {
        std::fprintf(stderr, "thread %s blocks %s\n", task.path().c_str(), mask.c_str());
        std::_Exit(2);
      }
    }
    std::_Exit(others >= 2 ? 0 : 3);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}
#endif

TEST_F(SignalTest, SystemCallsAreNotInterrupted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  sem_t semaphore;
  ASSERT_EQ(sem_init(&semaphore, 0, 0), 0);
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  // Threads with a slot, so that the engine has to do with them.
  threads.emplace_back([&] {
    const Ref<Node> held = heap_->Make<Node>();
    ++ready;
    const timespec nap{0, 300'000'000};
    EXPECT_EQ(nanosleep(&nap, nullptr), 0);
  });
  threads.emplace_back([&] {
    const Ref<Node> held = heap_->Make<Node>();
    ++ready;
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  });
  threads.emplace_back([&] {
    const Ref<Node> held = heap_->Make<Node>();
    ++ready;
    EXPECT_EQ(sem_wait(&semaphore), 0);
  });
  threads.emplace_back([&] {
    const Ref<Node> held = heap_->Make<Node>();
    ++ready;
    EXPECT_EQ(poll(nullptr, 0, 300), 0);
  });
  ASSERT_TRUE(Eventually([&] { return ready.load() == 4; }));
  for (int i = 0; i < 30; ++i) {
    MakeWork(*heap_);
    (void)heap_->Collect();
  }
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  ASSERT_EQ(sem_post(&semaphore), 0);
  for (std::thread& thread : threads) thread.join();
  (void)close(ends[0]);
  (void)close(ends[1]);
  (void)sem_destroy(&semaphore);
}

}  // namespace
}  // namespace reef
