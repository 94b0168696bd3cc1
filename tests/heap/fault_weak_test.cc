// Every request for memory of a program that watches its objects fails in turn: weak handles,
// callbacks, maps and sets of weak handles, finalizers of objects and of none.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/os/fault.h"
#include "reef/reef.h"
#include "tests/heap/fault_support.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

// What finalizers could not do for want of memory.
std::atomic<uint64_t> g_unraisable{0};

void CountUnraisable(const Unraisable& what) {
  try {
    std::rethrow_exception(what.exception);
  } catch (const std::bad_alloc&) {
    g_unraisable.fetch_add(1, std::memory_order_relaxed);
  }
}

struct Watched {
  explicit Watched(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next); }
  Life life;
  Member<Watched> next;
};

// Its last word needs memory, and it may come back by it.
struct Speaker {
  Speaker(Heap& own_heap, Lives& own_lives) : life(own_lives), heap(&own_heap), lives(&own_lives) {}
  ~Speaker() { EXPECT_TRUE(finalized); }
  void Trace(Visitor& v) const { v.Visit(other, made); }
  void Finalize(const Ref<Speaker>& self) {
    EXPECT_FALSE(std::exchange(finalized, true));
    if (keep != nullptr) *keep = self;
    made = heap->Make<Watched>(*lives);
    const Weak<Watched> weak = Ref<Watched>(made);
    EXPECT_TRUE(weak.Lock());
  }
  Life life;
  Heap* heap;
  Lives* lives;
  bool finalized = false;
  Ref<Speaker>* keep = nullptr;
  Member<Speaker> other;
  Member<Watched> made;
};

class FaultWeakTest : public test::FaultTest {
 protected:
  FaultWeakTest() : hook_(SetUnraisableHook(&CountUnraisable)) {
    // The default heap, where the cells are, is there; it is not made under fire.
    const Ref<Watched> first = Make<Watched>(lives_);
    const Weak<Watched> weak = first;
    cells_ = DefaultHeap().Stats().raw_blocks - 1;
  }
  ~FaultWeakTest() override { (void)SetUnraisableHook(hook_); }

  // Throws std::bad_alloc, of which OutOfMemory is one.
  void Watch(Heap& heap) {
    int called = 0;
    int armed = 0;
    WeakValueMap<std::string, Watched> map;
    WeakSet<Watched> set;
    std::vector<WeakCallback<Watched>> callbacks;
    std::vector<Finalizer> finalizers;
    const auto end = [&called] { ++called; };
    for (int i = 0; i < 20; ++i) {
      Ref<Watched> object = heap.Make<Watched>(lives_);
      const Weak<Watched> weak = object;
      callbacks.emplace_back(object, end);
      ++armed;
      map.Set("newest", object);
      (void)set.Insert(object);
      const std::string name = std::to_string(i);
      const Ref<Watched> found = map.FindOrMake(name, [&] { return heap.Make<Watched>(lives_); });
      finalizers.emplace_back(object, end);
      ++armed;
      finalizers.back().set_at_exit(false);
      object->next = found;
      EXPECT_EQ(weak.Lock(), object);
      object.Reset();
      EXPECT_FALSE(weak.Lock());
      EXPECT_EQ(called, armed);
      EXPECT_FALSE(map.Find("newest"));
    }
    // What exceeds a drop budget, and what is found by a collection.
    Ref<Watched> list = heap.Make<Watched>(lives_);
    std::vector<Weak<Watched>> handles;
    for (int i = 0; i < 200; ++i) {
      Ref<Watched> before = heap.Make<Watched>(lives_);
      before->next = std::move(list);
      list = std::move(before);
      handles.emplace_back(list);
    }
    list.Reset();
    EXPECT_FALSE(handles.back().Lock());  // the others may still be held by what was left
    const Ref<Watched> ring = heap.Make<Watched>(lives_);
    ring->next = ring;
    callbacks.emplace_back(ring, [] {});
    const Weak<Watched> from_inside = WeakTo(ring.get());
    EXPECT_TRUE(from_inside.Lock());
  }
  void Finalize(Heap& heap) {
    Ref<Speaker> kept;
    for (int i = 0; i < 20; ++i) {
      const Ref<Speaker> one = heap.Make<Speaker>(heap, lives_);
      one->other = heap.Make<Speaker>(heap, lives_);
      one->keep = i % 3 == 0 ? &kept : nullptr;
    }
    const Ref<Speaker> ring = heap.Make<Speaker>(heap, lives_);
    ring->other = heap.Make<Speaker>(heap, lives_);
    ring->other->other = ring;
  }
  bool Succeeds(Heap& heap) {
    try {
      Watch(heap);
      Finalize(heap);
      (void)heap.Collect();
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  void SweepWith(const HeapOptions& options) {
    g_unraisable = 0;
    for (const uint64_t count : {uint64_t{1}, uint64_t{4}, kAll}) {
      FailEachInTurn(
          count, [this](Heap& heap) { return Succeeds(heap); }, options);
      if (HasFailure()) return;
      (void)DefaultHeap().Collect();
      EXPECT_EQ(DefaultHeap().Stats().raw_blocks, cells_) << "cells are left over";
      const absl::Status state = DefaultHeap().Verify();
      EXPECT_TRUE(state.ok()) << state;
    }
    EXPECT_GT(g_unraisable, 0u) << "no finalizer has met a failure";
  }

  const UnraisableHook hook_;
  uint64_t cells_ = 0;
};

TEST_F(FaultWeakTest, EachRequestOfAProgramThatWatchesItsObjects) {
  SweepWith(test::QuietOptions());
}

TEST_F(FaultWeakTest, TheSameWhereDropsAreLeftToTheCollector) {
  HeapOptions options = test::QuietOptions();
  options.drop_budget = 64;
  SweepWith(options);
}

TEST_F(FaultWeakTest, WhatFailedHasNotHappened) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  {
    Weak<Watched> weak;
    const Ref<Watched> object = heap->Make<Watched>(lives_);
    for (int round = 0; round < 3; ++round) {
      os::ArmFaults(0, kAll);
      // No table, then no record.
      if (round == 0) {
        EXPECT_THROW(Weak<Watched>{object}, OutOfMemory);
      }
      EXPECT_THROW(WeakCallback<Watched>(object, [] {}), std::bad_alloc);
      EXPECT_THROW(Finalizer(object, [] {}), std::bad_alloc);
      (void)os::DisarmFaults();
      EXPECT_EQ(WeakCount(object), round == 0 ? 0u : 1u);
      weak = object;
      EXPECT_EQ(weak.Lock(), object);
    }
  }
  ExpectNothingLeft(*heap, 0);
}

}  // namespace
}  // namespace reef
