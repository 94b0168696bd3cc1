// The rendezvous: whom it waits for, whom it passes, and what holds when it returns.
#include "lib/threads/rendezvous.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/threads/slot_registry.h"
#include "tests/threads/support.h"

namespace reef::threads::test {
namespace {

using internal::Bracket;
using internal::g_mode;

TEST(RendezvousTest, PassesThreadsAtSafePoints) {
  // Attached, and blocked for good as far as the rendezvous can tell.
  Actor actors[3];
  Gate gate;
  for (Actor& actor : actors) {
    actor.Start([&gate] {
      { const Bracket bracket(internal::CurrentSlot()); }
      gate.Pass();
    });
  }
  Rendezvous();
  gate.Open();
}

TEST(RendezvousTest, PassesAThreadInsideAScope) {
  Actor actor;
  Gate gate;
  Gate inside;
  actor.Start([&] {
    Slot* slot = internal::CurrentSlot();
    OpenScope(slot);
    inside.Open();
    gate.Pass();
    CloseScope(slot);
  });
  inside.Pass();
  Rendezvous();
  gate.Open();
}

TEST(RendezvousTest, WaitsForAnOpenBracket) {
  Actor holder;
  Actor caller;
  Gate inside;
  std::atomic<bool> called{false};
  std::atomic<bool> ended{false};
  bool ended_before_return = false;
  holder.Start([&] {
    const Bracket bracket(internal::CurrentSlot());
    inside.Open();
    while (!called.load()) std::this_thread::yield();
    // A rendezvous that does not wait has returned long before this is through.
    for (int i = 0; i < 200; ++i) std::this_thread::yield();
    ended.store(true, std::memory_order_relaxed);
  });
  inside.Pass();
  caller.Do([&] {
    called.store(true);
    Rendezvous();
    ended_before_return = ended.load(std::memory_order_relaxed);
  });
  EXPECT_TRUE(ended_before_return);
}

TEST(RendezvousTest, DoesNotWaitForALaterBracketOfTheSameThread) {
  // The holder leaves its bracket and enters another one at once, and stays there until the
  // rendezvous has returned.
  Actor holder;
  Gate inside;
  std::atomic<bool> returned{false};
  holder.Start([&] {
    Slot* slot = internal::CurrentSlot();
    {
      const Bracket bracket(slot);
      inside.Open();
      for (int i = 0; i < 200; ++i) std::this_thread::yield();
    }
    while (!returned.load()) {
      const Bracket bracket(slot);
      for (int i = 0; i < 50 && !returned.load(); ++i) std::this_thread::yield();
    }
  });
  inside.Pass();
  Rendezvous();
  returned.store(true);
  holder.Wait();
}

// Threads open brackets all the time. After a rendezvous none that read the former mode is open,
// and none that is opened reads it.
TEST(RendezvousTest, NoBracketWithTheFormerModeIsOpenAfterwards) {
  constexpr int kThreads = 2;
  Region region;
  internal::g_target.store(region.core());
  struct alignas(64) Place {
    std::atomic<uint32_t> inside{0};  // 1 + the mode that an open bracket has read
    std::atomic<uint64_t> brackets{0};
  };
  Place places[kThreads];
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (Place& place : places) {
    threads.emplace_back([&place, &stop] {
      Slot* slot = internal::CurrentSlot();
      while (!stop.load(std::memory_order_relaxed)) {
        const Bracket bracket(slot);
        place.inside.store(1 + static_cast<uint32_t>(bracket.mode()), std::memory_order_relaxed);
        place.brackets.fetch_add(1, std::memory_order_relaxed);
        internal::CompilerBarrier();
        place.inside.store(0, std::memory_order_relaxed);
      }
    });
  }
  for (Place& place : places) {
    while (place.brackets.load(std::memory_order_relaxed) == 0) std::this_thread::yield();
  }
  uint64_t wrong = 0;
  Mode former = Mode::kIdle;
  for (size_t round = 0; round < 200 * kScale; ++round) {
    const Mode mode = static_cast<Mode>((round + 1) % 3);
    g_mode.store(mode, std::memory_order_release);
    Rendezvous();
    for (int look = 0; look < 10; ++look) {
      for (const Place& place : places) {
        if (place.inside.load(std::memory_order_relaxed) == 1 + static_cast<uint32_t>(former)) {
          ++wrong;
        }
      }
    }
    former = mode;
  }
  g_mode.store(Mode::kIdle);
  stop.store(true);
  for (auto& thread : threads) thread.join();
  Rendezvous();
  DiscardLogs();
  EXPECT_EQ(wrong, 0u);
}

// An open bracket holds the rendezvous up while another thread attaches and opens its first one.
TEST(RendezvousTest, ThreadThatAttachesMeanwhileSeesTheMode) {
  Region region;
  for (size_t round = 0; round < 30; ++round) {
    Actor holder;
    Actor caller;
    Gate inside;
    Gate leave;
    Gate end;
    std::atomic<bool> returned{false};
    holder.Start([&] {
      const Bracket bracket(internal::CurrentSlot());
      inside.Open();
      leave.Pass();
    });
    inside.Pass();
    caller.Start([&] {
      const Armed armed(region.core(), Mode::kLogging);
      returned.store(true);
      end.Pass();
    });
    while (g_mode.load(std::memory_order_relaxed) != Mode::kLogging) std::this_thread::yield();
    Mode read = Mode::kIdle;
    bool meanwhile = false;
    std::thread([&] {
      const Bracket bracket(internal::CurrentSlot());
      read = bracket.mode();
      meanwhile = !returned.load();
    }).join();
    EXPECT_EQ(read, Mode::kLogging);
    EXPECT_TRUE(meanwhile) << "the rendezvous did not wait for the holder";
    leave.Open();
    end.Open();
  }
}

TEST(RendezvousTest, OrdersWhatABracketDid) {
  Actor actor;
  Gate inside;
  uint64_t plain = 0;  // written in the bracket, read after the rendezvous: the race detector looks
  std::atomic<bool> called{false};
  actor.Start([&] {
    const Bracket bracket(internal::CurrentSlot());
    inside.Open();
    while (!called.load(std::memory_order_relaxed)) std::this_thread::yield();
    plain = 42;
  });
  inside.Pass();
  called.store(true, std::memory_order_relaxed);
  Rendezvous();
  EXPECT_EQ(plain, 42u);
}

// Standard error, as the watchdog writes it, to be read while it is written.
class ErrorPipe {
 public:
  ErrorPipe() {
    EXPECT_EQ(pipe(ends_), 0);
    saved_ = dup(STDERR_FILENO);
    (void)dup2(ends_[1], STDERR_FILENO);
  }
  ~ErrorPipe() {
    (void)dup2(saved_, STDERR_FILENO);
    for (const int end : {ends_[0], ends_[1], saved_}) (void)close(end);
  }
  std::string Await(std::chrono::seconds patience) {
    pollfd entry{ends_[0], POLLIN, 0};
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(patience);
    if (poll(&entry, 1, static_cast<int>(limit.count())) <= 0) return "";
    char text[512];
    const ssize_t length = read(ends_[0], text, sizeof text);
    return std::string(text, length > 0 ? static_cast<size_t>(length) : 0);
  }

 private:
  int ends_[2] = {-1, -1};
  int saved_ = -1;
};

TEST(RendezvousTest, LongBracketIsNamedByTheWatchdog) {
  Actor holder;
  Actor caller;
  const int tid = holder.slot()->tid.load();
  Gate inside;
  std::string text;
  {
    ErrorPipe errors;
    holder.Start([&] {
      const Bracket bracket(internal::CurrentSlot());
      inside.Open();
      text = errors.Await(std::chrono::seconds(60));
    });
    inside.Pass();
    caller.Do([] { Rendezvous(); });
    holder.Wait();
  }
  EXPECT_NE(text.find("thread " + std::to_string(tid) + " has been inside one engine operation"),
            std::string::npos)
      << text;
  EXPECT_GE(LongestBracket(), std::chrono::seconds(1));
  EXPECT_GE(LongestRendezvous(), LongestBracket());
}

}  // namespace
}  // namespace reef::threads::test
