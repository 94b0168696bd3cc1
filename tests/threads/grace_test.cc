// Grace periods: what holds one up, what does not, and what that is good for.
#include "lib/threads/grace.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/threads/slot_registry.h"
#include "tests/threads/support.h"

namespace reef::threads::test {
namespace {

using internal::Bracket;

void Advance(int times) {
  for (int i = 0; i < times; ++i) AdvanceGrace();
}

// A thread that can be asked to open and close a scope or a bracket.
class Reader {
 public:
  void OpenScope() {
    actor_.Do([] { test::OpenScope(internal::CurrentSlot()); });
  }
  void CloseScope() {
    actor_.Do([] { test::CloseScope(internal::CurrentSlot()); });
  }
  void OpenBracket() {
    actor_.Do([this] { bracket_.emplace(internal::CurrentSlot()); });
  }
  void CloseBracket() {
    actor_.Do([this] { bracket_.reset(); });
  }

 private:
  std::optional<Bracket> bracket_;
  Actor actor_;
};

TEST(GraceTest, NeedsToBeAdvancedAndThenPasses) {
  const GraceTicket ticket = TakeGraceTicket();
  EXPECT_FALSE(GracePassed(ticket));
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket)) << "nothing is open";
}

TEST(GraceTest, NothingIsStartedThatNobodyWaitsFor) {
  const GraceTicket ticket = TakeGraceTicket();
  Advance(10);
  ASSERT_TRUE(GracePassed(ticket));
  EXPECT_FALSE(GracePassed(TakeGraceTicket()));
  EXPECT_EQ(TakeGraceTicket(), ticket + 1);
}

TEST(GraceTest, WaitsForAScope) {
  Reader reader;
  reader.OpenScope();
  const GraceTicket ticket = TakeGraceTicket();
  Advance(20);
  EXPECT_FALSE(GracePassed(ticket));
  reader.CloseScope();
  EXPECT_FALSE(GracePassed(ticket));
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket));
}

TEST(GraceTest, WaitsForABracket) {
  Reader reader;
  reader.OpenBracket();
  const GraceTicket ticket = TakeGraceTicket();
  Advance(20);
  EXPECT_FALSE(GracePassed(ticket));
  reader.CloseBracket();
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket));
}

TEST(GraceTest, WaitsForTheCallersOwnScope) {
  Slot* slot = internal::CurrentSlot();
  OpenScope(slot);
  const GraceTicket ticket = TakeGraceTicket();
  Advance(20);
  EXPECT_FALSE(GracePassed(ticket));
  CloseScope(slot);
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket));
}

TEST(GraceTest, WaitsForAllThatWereOpen) {
  Reader one;
  Reader two;
  one.OpenScope();
  two.OpenBracket();
  const GraceTicket ticket = TakeGraceTicket();
  Advance(1);
  one.CloseScope();
  Advance(20);
  EXPECT_FALSE(GracePassed(ticket));
  two.CloseBracket();
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket));
}

TEST(GraceTest, DoesNotWaitForLaterOnes) {
  Reader early;
  Reader late;
  early.OpenScope();
  const GraceTicket ticket = TakeGraceTicket();
  Advance(1);  // it has started
  late.OpenScope();
  early.CloseScope();
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket));
  late.CloseScope();
}

TEST(GraceTest, ScopeThatWasOpenedAgainIsALaterOne) {
  Reader reader;
  reader.OpenScope();
  const GraceTicket ticket = TakeGraceTicket();
  Advance(1);
  reader.CloseScope();
  reader.OpenScope();
  Advance(1);
  EXPECT_TRUE(GracePassed(ticket));
  reader.CloseScope();
}

TEST(GraceTest, TicketTakenWhileOneRunsIsForTheNext) {
  Reader early;
  Reader late;
  early.OpenScope();
  const GraceTicket first = TakeGraceTicket();
  Advance(1);
  late.OpenScope();  // not in the way of the first; the second starts after it
  const GraceTicket second = TakeGraceTicket();
  EXPECT_GT(second, first);
  early.CloseScope();
  Advance(1);
  EXPECT_TRUE(GracePassed(first));
  EXPECT_FALSE(GracePassed(second));
  Advance(20);
  EXPECT_FALSE(GracePassed(second));
  late.CloseScope();
  Advance(1);
  EXPECT_TRUE(GracePassed(second));
}

TEST(GraceTest, TicketsBeforeTheStartShareAPeriod) {
  Reader reader;
  reader.OpenScope();
  const GraceTicket one = TakeGraceTicket();
  const GraceTicket two = TakeGraceTicket();
  EXPECT_EQ(one, two);
  reader.CloseScope();
  Advance(1);
  EXPECT_TRUE(GracePassed(two));
}

// Readers look at the current version inside scopes; the writer replaces it and destroys the old
// one when its ticket has passed. The destruction is a plain store, for the race detector to see.
TEST(GraceTest, ReaderNeverSeesWhatWasDestroyed) {
  constexpr int kReaders = 2;
  const size_t versions = 200;
  const auto values = std::make_unique<uint64_t[]>(versions + 1);
  for (size_t i = 0; i <= versions; ++i) values[i] = 1;
  std::atomic<uint64_t*> current{&values[0]};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> destroyed_seen{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kReaders; ++i) {
    threads.emplace_back([&] {
      Slot* slot = internal::CurrentSlot();
      while (!stop.load(std::memory_order_relaxed)) {
        OpenScope(slot);
        const uint64_t* value = current.load(std::memory_order_acquire);
        if (*value != 1) ++destroyed_seen;
        CloseScope(slot);
        std::this_thread::yield();  // between scopes: the writer waits for those inside
      }
    });
  }
  // A second thread advances as well, as the collector does beside a retiring thread.
  threads.emplace_back([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      AdvanceGrace();
      std::this_thread::yield();
    }
  });
  for (size_t i = 1; i <= versions; ++i) {
    uint64_t* old = current.exchange(&values[i], std::memory_order_acq_rel);
    const GraceTicket ticket = TakeGraceTicket();
    while (!GracePassed(ticket)) {
      AdvanceGrace();
      std::this_thread::yield();
    }
    *old = 0;
  }
  stop.store(true);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(destroyed_seen.load(), 0u);
}

}  // namespace
}  // namespace reef::threads::test
