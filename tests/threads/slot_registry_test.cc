// The slot registry: who gets which slot, what an ended thread leaves behind, and who may take it.
#include "lib/threads/slot_registry.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/thread_cache.h"
#include "lib/os/membarrier.h"
#include "tests/threads/support.h"

#if defined(__SANITIZE_THREAD__)
#define REEF_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REEF_TEST_TSAN 1
#endif
#endif
#ifndef REEF_TEST_TSAN
#define REEF_TEST_TSAN 0
#endif

namespace reef::threads::test {
namespace {

using internal::Header;
using internal::kMaxOwner;
using internal::kUnbiased;
using internal::OwnerOf;
using internal::SlabKind;

// All orphans, for a test that wants to know where a slot goes; put back at the end.
class OrphanKeeper {
 public:
  OrphanKeeper() {
    while (Slot* slot = ClaimOrphan()) slots_.push_back(slot);
  }
  ~OrphanKeeper() {
    for (Slot* slot : slots_) ReturnOrphan(slot);
  }

 private:
  std::vector<Slot*> slots_;
};

TEST(SlotRegistryTest, AttachedThreadsHaveDifferentSlots) {
  Actor actors[3];
  std::set<Slot*> slots{internal::CurrentSlot()};
  for (Actor& actor : actors) EXPECT_TRUE(slots.insert(actor.slot()).second);
  for (Slot* slot : slots) {
    EXPECT_LT(slot->index, SlotCount());
    EXPECT_EQ(SlotAt(slot->index), slot);
    EXPECT_NE(slot->tid.load(), 0);
  }
}

TEST(SlotRegistryTest, OwnerNumberNamesTheSlot) {
  Slot* slot = internal::CurrentSlot();
  if (!os::HasMembarrier()) GTEST_SKIP() << "nothing is biased without membarrier";
  EXPECT_EQ(OwnerOf(slot->me()), slot->index + 1);
  EXPECT_EQ(SlotOfOwner(OwnerOf(slot->me())), slot);
  EXPECT_EQ(slot->me() & internal::kLocalCounts, 0u);
  EXPECT_TRUE(slot->IsBiased());
  EXPECT_FALSE(slot->fenced);
}

TEST(SlotRegistryTest, ForEachSlotVisitsEachOnce) {
  Actor actor;
  std::multiset<Slot*> visited;
  const std::set<Slot*> mine{internal::CurrentSlot(), actor.slot()};
  ForEachSlot([&visited](Slot& slot) { visited.insert(&slot); });
  EXPECT_EQ(visited.size(), SlotCount());
  for (Slot* slot : mine) EXPECT_EQ(visited.count(slot), 1u);
}

TEST(SlotRegistryTest, NextThreadTakesOverTheSlotWithItsCaches) {
  const OrphanKeeper keeper;
  constexpr int kClass = internal::ClassOf(64);
  Region region;
  Slot* slot = nullptr;
  void* block = nullptr;
  uint32_t me = 0;
  std::thread([&] {
    slot = internal::CurrentSlot();
    me = slot->me();
    block = memory::Refill(slot, region.space(), SlabKind::kRaw, kClass);
    internal::FreeBlock<false>(slot, slot->slab_owner, block);
    slot->suspects.store(17);
  }).join();
  const auto* cache = slot->caches[region.core()->index];
  EXPECT_NE(cache, &internal::g_empty_cache);
  std::thread([&] {
    EXPECT_EQ(internal::CurrentSlot(), slot);
    EXPECT_EQ(slot->me(), me) << "and with it every object of that owner";
    EXPECT_EQ(slot->suspects.load(), 17u) << "never reset: the pacer compares sums";
    EXPECT_EQ(slot->caches[region.core()->index], cache);
    EXPECT_EQ(internal::PopBlock(slot->caches[region.core()->index], SlabKind::kRaw, kClass),
              block);
  }).join();
  memory::DropCache(slot, region.space());
}

TEST(SlotRegistryTest, EndedThreadIsNotBusyAndOutsideBrackets) {
  const OrphanKeeper keeper;
  Region region;
  Slot* slot = nullptr;
  std::thread([&] {
    slot = internal::CurrentSlot();
    slot->busy.store(region.NewHeader(0));
  }).join();
  EXPECT_EQ(slot->busy.load(), nullptr);
  EXPECT_EQ(slot->seq.load() % 2, 0u);
}

TEST(SlotRegistryTest, HookRunsAtTheEndWithTheSlotStillAttached) {
  const OrphanKeeper keeper;
  static Slot* seen = nullptr;
  static bool attached = false;
  (void)SlotCount();
  SetThreadEndHook([](Slot* slot) {
    seen = slot;
    attached = internal::tls_slot == slot;
  });
  Slot* slot = nullptr;
  std::thread([&slot] { slot = internal::CurrentSlot(); }).join();
  SetThreadEndHook(nullptr);
  EXPECT_EQ(seen, slot);
  EXPECT_TRUE(attached);
}

TEST(SlotRegistryTest, ManyThreadsInTurnNeedOneSlot) {
  std::thread([] { (void)internal::CurrentSlot(); }).join();
  const uint32_t count = SlotCount();
  for (int i = 0; i < 100; ++i) {
    std::thread([] { (void)internal::CurrentSlot(); }).join();
  }
  EXPECT_EQ(SlotCount(), count);
}

TEST(SlotRegistryTest, OrphansComeBackInTheOrderOfAStack) {
  const OrphanKeeper keeper;
  EXPECT_EQ(ClaimOrphan(), nullptr);
  Slot* one = nullptr;
  Slot* two = nullptr;
  {
    Actor first;
    Actor second;
    one = first.slot();
    two = second.slot();
    first.Join();
    second.Join();
  }
  EXPECT_EQ(ClaimOrphan(), two);
  EXPECT_EQ(ClaimOrphan(), one);
  EXPECT_EQ(ClaimOrphan(), nullptr);
  ReturnOrphan(one);
  ReturnOrphan(two);
  EXPECT_EQ(ClaimOrphan(), two);
  ReturnOrphan(two);
}

TEST(SlotRegistryTest, ClaimedOrphanIsNotGivenToAThread) {
  const OrphanKeeper keeper;
  Slot* claimed = nullptr;
  std::thread([] { (void)internal::CurrentSlot(); }).join();
  claimed = ClaimOrphan();
  ASSERT_NE(claimed, nullptr);
  Actor actor;
  EXPECT_NE(actor.slot(), claimed);
  ReturnOrphan(claimed);
  Actor next;
  EXPECT_EQ(next.slot(), claimed);
}

TEST(SlotRegistryTest, AdoptedSlotIsNoLongerEmptied) {
  const OrphanKeeper keeper;
  std::thread([] { (void)internal::CurrentSlot(); }).join();
  Slot* slot = ClaimOrphan();
  slot->emptied = true;
  ReturnOrphan(slot);
  Actor actor;
  ASSERT_EQ(actor.slot(), slot);
  EXPECT_FALSE(slot->emptied);
}

// Claimers compete for the orphans, as the collector thread and new threads do.
TEST(SlotRegistryTest, OrphanHasOneClaimerUnderContention) {
  constexpr int kOrphans = 4;
  {
    std::vector<std::thread> threads;
    Gate gate;
    std::atomic<int> attached{0};
    for (int i = 0; i < kOrphans; ++i) {
      threads.emplace_back([&] {
        (void)internal::CurrentSlot();
        if (++attached == kOrphans) gate.Open();
        gate.Pass();
      });
    }
    for (auto& thread : threads) thread.join();
  }
  std::atomic<int> holders[64] = {};
  std::atomic<int> doubled{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (size_t step = 0; step < 10'000 * kScale; ++step) {
        Slot* slot = ClaimOrphan();
        if (slot == nullptr) continue;
        auto& holder = holders[slot->index % 64];
        if (holder.fetch_add(1, std::memory_order_relaxed) != 0) ++doubled;
        slot->emptied = !slot->emptied;  // a plain field: the claim must order it
        holder.fetch_sub(1, std::memory_order_relaxed);
        ReturnOrphan(slot);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(doubled.load(), 0);
}

// Threads come and go while someone empties orphans as the collector does: there are never more
// slots than threads at once, and one in the emptier's hands.
TEST(SlotRegistryTest, EmptyingOrphansDoesNotMakeNewOnesNecessary) {
  constexpr int kThreads = 3;
  std::atomic<bool> stop{false};
  std::thread emptier([&] {
    (void)internal::CurrentSlot();
    while (!stop.load(std::memory_order_relaxed)) {
      for (uint32_t left = SlotCount(); left != 0; --left) {
        Slot* slot = ClaimFreshOrphan();
        if (slot == nullptr) break;
        slot->emptied = true;
        ReturnOrphan(slot);
      }
    }
  });
  const auto churn = [](size_t lives) {
    for (size_t i = 0; i < lives; ++i) {
      std::vector<std::thread> threads;
      for (int j = 0; j < kThreads; ++j)
        threads.emplace_back([] { (void)internal::CurrentSlot(); });
      for (std::thread& thread : threads) thread.join();
    }
  };
  churn(100);
  const uint32_t before = SlotCount();
  churn(1000 * kScale);
  EXPECT_LE(SlotCount(), before + 3);
  stop.store(true, std::memory_order_relaxed);
  emptier.join();
}

pthread_key_t g_late_key;

TEST(SlotRegistryTest, ThreadThatUsesAHeapAfterItsEndIsAttachedAgain) {
  (void)internal::CurrentSlot();  // the registry's key is made first, so its destructor runs first
  static std::atomic<int> late{0};
  ASSERT_EQ(pthread_key_create(&g_late_key,
                               [](void*) {
                                 EXPECT_EQ(internal::tls_slot, &internal::g_null_slot);
                                 const internal::Bracket bracket(internal::CurrentSlot());
                                 ++late;
                               }),
            0);
  const auto run = [] {
    std::thread([] {
      (void)internal::CurrentSlot();
      (void)pthread_setspecific(g_late_key, &g_late_key);
    }).join();
  };
  run();
  const uint32_t count = SlotCount();
  for (int i = 0; i < 20; ++i) run();
  EXPECT_EQ(late.load(), 21);
  EXPECT_EQ(SlotCount(), count) << "the second slot came back, too";
  (void)pthread_key_delete(g_late_key);
}

TEST(SlotRegistryTest, SlotsThatHeadersCannotNameAreUnbiased) {
  // One thread attaches again and again, and afterwards leaves all of the slots but its last.
  std::thread([] {
    std::vector<Slot*> slots;
    while (SlotCount() <= kMaxOwner) slots.push_back(internal::AttachThread());
    Slot* last = internal::AttachThread();
    for (uint32_t i = 0; i < kMaxOwner; ++i) {
      EXPECT_NE(OwnerOf(SlotAt(i)->me()), os::HasMembarrier() ? kUnbiased : 0u);
    }
    const Slot* beyond = SlotAt(kMaxOwner);
    EXPECT_EQ(OwnerOf(beyond->me()), kUnbiased);
    EXPECT_FALSE(beyond->IsBiased());
    EXPECT_EQ(beyond->index, kMaxOwner);
    { const internal::Bracket bracket(last); }
    for (Slot* slot : slots) ReturnOrphan(slot);
  }).join();
}

TEST(SlotRegistryDeathTest, WithoutMembarrierNothingIsBiasedAndBracketsFence) {
  EXPECT_EXIT(
      {
        (void)setenv("REEF_NO_MEMBARRIER", "1", 1);
        Slot* slot = internal::CurrentSlot();
        const bool right = slot->fenced && !slot->IsBiased() && OwnerOf(slot->me()) == kUnbiased;
        { const internal::Bracket bracket(slot); }
        Rendezvous();
        std::_Exit(right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

// A key whose destructor comes in every round of the system's, after the engine's own, which is
// older; and uses a heap in those from `g_first_round` on. In the last round nobody sees the end.
constexpr int kRounds = PTHREAD_DESTRUCTOR_ITERATIONS;
pthread_key_t g_rounds_key;
int g_first_round = 0;

void EndRound(void* value) {
  const auto round = reinterpret_cast<intptr_t>(value);
  if (round >= g_first_round) (void)internal::CurrentSlot();
  if (round < kRounds) {
    (void)pthread_setspecific(g_rounds_key, reinterpret_cast<void*>(round + 1));
  }
}

TEST(SlotRegistryTest, SlotsOfThreadsThatUseAHeapInTheLastRoundAreTakenOver) {
  if (REEF_TEST_TSAN) GTEST_SKIP() << "the thread sanitizer's own value goes in the last round";
  (void)internal::CurrentSlot();  // the engine's key is there
  ASSERT_EQ(pthread_key_create(&g_rounds_key, &EndRound), 0);
  for (const int first : {1, kRounds}) {
    g_first_round = first;
    const uint32_t before = SlotCount();
    for (int i = 0; i < 50; ++i) {
      std::thread([] {
        (void)internal::CurrentSlot();
        (void)pthread_setspecific(g_rounds_key, reinterpret_cast<void*>(intptr_t{1}));
      }).join();
    }
    EXPECT_LE(SlotCount(), before + 2);
  }
  ASSERT_EQ(pthread_key_delete(g_rounds_key), 0);
}

// As many as are known at once, and more: those beyond are found when they end in time.
TEST(SlotRegistryTest, VeryManyLateThreadsAtOnceAreNoFault) {
  if (REEF_TEST_TSAN) GTEST_SKIP() << "the thread sanitizer's own value goes in the last round";
  ASSERT_EQ(pthread_key_create(&g_rounds_key, &EndRound), 0);
  g_first_round = 1;
  std::vector<std::thread> threads;
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([] {
      (void)internal::CurrentSlot();
      (void)pthread_setspecific(g_rounds_key, reinterpret_cast<void*>(intptr_t{1}));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(SlotCount(), 0u);
  std::set<Slot*> orphans;
  while (Slot* slot = ClaimOrphan()) EXPECT_TRUE(orphans.insert(slot).second) << "claimed twice";
  for (Slot* slot : orphans) ReturnOrphan(slot);
  ASSERT_EQ(pthread_key_delete(g_rounds_key), 0);
}

}  // namespace
}  // namespace reef::threads::test
