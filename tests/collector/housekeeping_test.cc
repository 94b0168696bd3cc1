// Housekeeping, step by step: biases and retired objects, empty slabs, the slots of ended threads.
#include "lib/collector/housekeeping.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/thread_cache.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/threads/grace.h"
#include "lib/threads/slot_registry.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::CurrentSlot;
using internal::SlabKind;
using internal::SlabOf;
using internal::Slot;
using internal::Stage;
using object::test::Number;
using std::chrono::milliseconds;

// What EmptyOrphans is told.
std::vector<CollectedHeap*> g_heaps;
CollectedHeap* g_heap_to_come = nullptr;
const std::vector<CollectedHeap*>& HeapsOfTheTest() {
  if (g_heap_to_come != nullptr) g_heaps.push_back(std::exchange(g_heap_to_come, nullptr));
  return g_heaps;
}

class HousekeepingTest : public CollectorTest {
 protected:
  void EmptyOrphansOfThisHeap() {
    g_heaps = {&heap_};
    EmptyOrphans(&HeapsOfTheTest);
  }

  HousekeepingTest() {
    // A grace period that an earlier test has left running would be one more to wait for.
    const threads::GraceTicket ticket = threads::TakeGraceTicket();
    while (!threads::GracePassed(ticket)) threads::AdvanceGrace();
  }

  // A test that has failed half-way leaves no scope open, for which all others would wait.
  ~HousekeepingTest() override {
    if (scope_open_) CloseScope();
  }

  Node* NewPublished() {
    Node* node = NewNode();
    (void)Header::Of(node)->SetFlags(internal::kPublished);
    return node;
  }
  // An object of that thread's, with one root.
  Node* NewOf(Actor* actor) {
    Node* node = nullptr;
    actor->Do([&] { node = NewNode(); });
    return node;
  }
  // A slab that served an object of type T, on the available list, empty.
  template <typename T>
  Slab* EmptySlab() {
    T* object = New<T>();
    Slab* slab = SlabOf(Header::Of(object));
    DropRoot(object);
    memory::ReleaseSlabs(CurrentSlot(), heap_.space.get());
    EXPECT_TRUE(space().HasEmpty());
    return slab;
  }

  void OpenScope() {
    reader_.Do([] { threads::test::OpenScope(CurrentSlot()); });
    scope_open_ = true;
  }
  void CloseScope() {
    reader_.Do([] { threads::test::CloseScope(CurrentSlot()); });
    scope_open_ = false;
  }

 private:
  const CollectorHeldUp held_up_;
  Actor reader_;
  bool scope_open_ = false;
};

// --- Settle ---

TEST_F(HousekeepingTest, NothingIsLeftWhereNothingWaits) { EXPECT_FALSE(Settle()); }

TEST_F(HousekeepingTest, SettleRevokesWhatIsPending) {
  Actor owner;
  Node* node = NewOf(&owner);
  DropRoot(node);
  ASSERT_EQ(object::CountPending(), 1u);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(node), Stage::kFree);
}

TEST_F(HousekeepingTest, SettleSaysThatAScopeHoldsRetiredObjects) {
  OpenScope();
  Node* node = NewPublished();
  DropRoot(node);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Settle());
  EXPECT_EQ(StageOf(node), Stage::kDying);
  CloseScope();
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 1);
}

TEST_F(HousekeepingTest, SettleSaysWhatReclaimedObjectsHaveQueued) {
  Actor owner;
  Node* parent = NewPublished();
  Node* child = nullptr;
  owner.Do([&] {
    child = NewNode();
    Point(parent->next, child);
    DropRoot(child);
  });
  DropRoot(parent);
  // The parent goes last in this round, and what it held is queued by that.
  EXPECT_TRUE(Settle());
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(StageOf(child), Stage::kLive);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(ends_, 2);
}

// A list of published objects, each counted by another thread than the one before: every link
// takes a round of both kinds.
TEST_F(HousekeepingTest, SettleAllGoesOnUntilNothingWaits) {
  constexpr int kLength = 40;
  Actor owner;
  Node* head = NewPublished();
  Node* last = head;
  for (int i = 1; i < kLength; ++i) {
    owner.Do([&] {
      Node* node = NewPublished();
      Point(last->next, node);
      DropRoot(node);
      last = node;
    });
  }
  DropRoot(head);
  SettleAll(std::chrono::seconds(60));
  EXPECT_EQ(ends_, kLength);
  EXPECT_EQ(object::CountPending(), 0u);
  EXPECT_EQ(object::RetiredBytes(), 0u);
}

TEST_F(HousekeepingTest, SettleAllGivesUpWhenNothingCanBeSettled) {
  constexpr Nanoseconds kPatience = milliseconds(20);
  OpenScope();
  DropRoot(NewPublished());
  const Nanoseconds start = os::Now();
  SettleAll(kPatience);
  EXPECT_GE(os::Now() - start, kPatience);
  EXPECT_EQ(ends_, 0);
  EXPECT_NE(object::RetiredBytes(), 0u);
  CloseScope();
  SettleAll(kPatience);
  EXPECT_EQ(ends_, 1);
}

// --- the way back of empty slabs ---

TEST_F(HousekeepingTest, EmptySlabGoesBackStepByStep) {
  Slab* slab = EmptySlab<Node>();
  ASSERT_NE(space().committed_bytes(), 0u);
  EXPECT_TRUE(ReturnMemory(&heap_));
  EXPECT_EQ(heap_.quarantine.count, 1u);
  EXPECT_EQ(heap_.quarantine.first, slab);
  EXPECT_FALSE(space().HasEmpty());
  EXPECT_TRUE(slab->formatted.load()) << "may still be inspected";

  EXPECT_TRUE(ReturnMemory(&heap_));
  EXPECT_EQ(heap_.quarantine.count, 0u);
  EXPECT_FALSE(slab->formatted.load());
  EXPECT_NE(space().committed_bytes(), 0u) << "a steady program would take it again";

  EXPECT_FALSE(ReturnMemory(&heap_));
  EXPECT_EQ(space().committed_bytes(), 0u);
  EXPECT_FALSE(ReturnMemory(&heap_));
}

TEST_F(HousekeepingTest, SlabInUseStays) {
  Node* node = NewNode();
  memory::ReleaseSlabs(CurrentSlot(), heap_.space.get());
  EXPECT_TRUE(space().HasEmpty()) << "a hint only";
  EXPECT_FALSE(ReturnMemory(&heap_));
  ReturnAllMemory(&heap_);
  const Slab* slab = SlabOf(Header::Of(node));
  EXPECT_TRUE(slab->formatted.load());
  EXPECT_EQ(StageOf(node), Stage::kLive);
  EXPECT_EQ(node->ends, &ends_);
}

TEST_F(HousekeepingTest, EmptySlabWaitsForItsGracePeriod) {
  Slab* slab = EmptySlab<Node>();
  OpenScope();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ReturnMemory(&heap_));
  EXPECT_EQ(heap_.quarantine.count, 1u);
  EXPECT_TRUE(slab->formatted.load());
  CloseScope();
  EXPECT_TRUE(ReturnMemory(&heap_));
  EXPECT_EQ(heap_.quarantine.count, 0u);
  EXPECT_FALSE(slab->formatted.load());
}

TEST_F(HousekeepingTest, ScopeOpenedLaterHoldsOnlyTheNextBatch) {
  Slab* one = EmptySlab<Node>();
  EXPECT_TRUE(ReturnMemory(&heap_));
  threads::AdvanceGrace();  // the batch's period has begun, and passed
  OpenScope();
  Slab* two = EmptySlab<Number>();
  EXPECT_TRUE(ReturnMemory(&heap_));
  EXPECT_FALSE(one->formatted.load());
  EXPECT_EQ(heap_.quarantine.first, two);
  EXPECT_TRUE(ReturnMemory(&heap_));
  EXPECT_TRUE(two->formatted.load());
  CloseScope();
}

TEST_F(HousekeepingTest, AllMemoryGoesBackAtOnce) {
  Slab* one = EmptySlab<Node>();
  EXPECT_TRUE(ReturnMemory(&heap_));
  ASSERT_EQ(heap_.quarantine.first, one);
  Slab* two = EmptySlab<Number>();
  ASSERT_NE(one, two);
  ReturnAllMemory(&heap_);
  EXPECT_FALSE(one->formatted.load());
  EXPECT_FALSE(two->formatted.load());
  EXPECT_EQ(heap_.quarantine.count, 0u);
  EXPECT_EQ(space().committed_bytes(), 0u) << "without another round";
}

TEST_F(HousekeepingTest, ReturnAllMemoryWaitsForTheGracePeriodBeforeItsOwn) {
  // One that began while a scope was open, and that nobody has found completed.
  OpenScope();
  const threads::GraceTicket earlier = threads::TakeGraceTicket();
  threads::AdvanceGrace();
  CloseScope();
  ASSERT_FALSE(threads::GracePassed(earlier));
  const Slab* slab = EmptySlab<Node>();
  ReturnAllMemory(&heap_);
  EXPECT_FALSE(slab->formatted.load());
  EXPECT_EQ(space().committed_bytes(), 0u);
}

TEST_F(HousekeepingTest, ReturnAllMemoryDoesNotWaitForEver) {
  const Slab* free = EmptySlab<Node>();
  EXPECT_TRUE(ReturnMemory(&heap_));
  threads::AdvanceGrace();
  OpenScope();
  Slab* held = EmptySlab<Number>();
  EXPECT_TRUE(ReturnMemory(&heap_));
  ASSERT_FALSE(free->formatted.load());
  ASSERT_EQ(space().committed_bytes(), 2 * internal::kSlabBytes);
  ReturnAllMemory(&heap_);
  EXPECT_EQ(heap_.quarantine.first, held) << "not forgotten";
  EXPECT_TRUE(held->formatted.load());
  EXPECT_EQ(space().committed_bytes(), internal::kSlabBytes) << "the other's memory has gone";
  CloseScope();
  ReturnAllMemory(&heap_);
  EXPECT_FALSE(held->formatted.load());
  EXPECT_EQ(space().committed_bytes(), 0u);
}

// Of a run, which nobody has taken again.
uint64_t CommittedAfterTwoSteps(uint64_t soft_bytes) {
  HeapCore core;
  EXPECT_NE(memory::EnterHeap(&core), 0u);
  CollectedHeap heap;
  heap.core = &core;
  heap.space =
      Space::Create(&core, {.reserve_bytes = uint64_t{64} << 20, .soft_bytes = soft_bytes});
  EXPECT_TRUE(heap.space->ChargeExternal(uint64_t{2} << 20));
  void* run = heap.space->AllocateRun(SlabKind::kRaw, 100'000, 16);
  heap.space->FreeRun(CurrentSlot(), SlabOf(run));
  EXPECT_TRUE(ReturnMemory(&heap));  // into quarantine
  (void)ReturnMemory(&heap);         // back to the supply
  const uint64_t committed = heap.space->committed_bytes();
  memory::RemoveHeap(&core);
  return committed;
}

TEST_F(HousekeepingTest, AboveTheSoftLimitMemoryGoesBackAtOnce) {
  EXPECT_NE(CommittedAfterTwoSteps(0), 0u);
  EXPECT_NE(CommittedAfterTwoSteps(uint64_t{4} << 20), 0u);
  EXPECT_EQ(CommittedAfterTwoSteps(uint64_t{1} << 20), 0u);
}

// --- orphans ---

// Slots on the orphan list.
std::vector<Slot*> Orphans() {
  std::vector<Slot*> orphans;
  while (Slot* slot = threads::ClaimOrphan()) orphans.push_back(slot);
  for (Slot* slot : orphans) threads::ReturnOrphan(slot);
  return orphans;
}

TEST_F(HousekeepingTest, SlabsOfAnEndedThreadBecomeAvailable) {
  Actor ended;
  Node* node = NewOf(&ended);
  Slot* slot = ended.slot();
  Slab* slab = SlabOf(Header::Of(node));
  ended.Join();
  const std::vector<Slot*> before = Orphans();
  ASSERT_NE(std::find(before.begin(), before.end(), slot), before.end());
  ASSERT_EQ(slab->owner.load(), slot->slab_owner);

  EmptyOrphansOfThisHeap();
  EXPECT_EQ(slab->owner.load(), 0u);
  EXPECT_TRUE(slot->emptied);
  EXPECT_EQ(StageOf(node), Stage::kLive) << "what lives there goes on living";
  EXPECT_EQ(heap_.space->PopAvailable(SlabKind::kTraced, slab->size_class), slab);
  // All of them are there for new threads, once each.
  std::vector<Slot*> after = Orphans();
  EXPECT_TRUE(std::is_permutation(after.begin(), after.end(), before.begin(), before.end()));
}

TEST_F(HousekeepingTest, SlabsOfARunningThreadStayItsOwn) {
  Actor running;
  const Slab* slab = SlabOf(Header::Of(NewOf(&running)));
  EmptyOrphansOfThisHeap();
  Slot* slot = running.slot();
  EXPECT_EQ(slab->owner.load(), slot->slab_owner);
  EXPECT_FALSE(slot->emptied);
  EXPECT_EQ(SlabOf(Header::Of(NewOf(&running))), slab);
}

TEST_F(HousekeepingTest, SlotIsEmptiedAgainAfterItsNextThread) {
  for (int round = 0; round < 3; ++round) {
    Actor ended;
    const Slab* slab = SlabOf(Header::Of(NewOf(&ended)));
    Slot* slot = ended.slot();
    EXPECT_FALSE(slot->emptied) << round;
    EXPECT_EQ(slab->owner.load(), slot->slab_owner) << round;
    ended.Join();
    EmptyOrphansOfThisHeap();
    EXPECT_TRUE(slot->emptied) << round;
    EXPECT_EQ(slab->owner.load(), 0u) << round;
  }
}

TEST_F(HousekeepingTest, OrphansAreEmptiedForEveryHeapThatTheyCanHaveUsed) {
  HeapCore core;
  ASSERT_NE(memory::EnterHeap(&core), 0u);
  CollectedHeap second;
  second.core = &core;
  second.space = Space::Create(&core, {.reserve_bytes = uint64_t{64} << 20});
  ASSERT_NE(second.space, nullptr);
  constexpr int kClass = internal::ClassOf(64);
  const void* block = nullptr;
  Actor ended;
  const Slab* one = SlabOf(Header::Of(NewOf(&ended)));
  ended.Do(
      [&] { block = memory::Refill(CurrentSlot(), second.space.get(), SlabKind::kRaw, kClass); });
  ASSERT_NE(block, nullptr);
  const Slab* two = SlabOf(block);
  ended.Join();
  g_heaps = {&heap_};
  g_heap_to_come = &second;  // it is there by the time it is asked for
  EmptyOrphans(&HeapsOfTheTest);
  EXPECT_EQ(one->owner.load(), 0u);
  EXPECT_EQ(two->owner.load(), 0u);
  threads::ForEachSlot([&](Slot& slot) { memory::DropCache(&slot, second.space.get()); });
  memory::RemoveHeap(&core);
}

}  // namespace
}  // namespace reef::collector::test
