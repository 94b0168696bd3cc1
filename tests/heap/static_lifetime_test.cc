// Statics and thread_locals that hold Refs, at the end of the process.

#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

// Says on stderr that it dies.
struct Speaker {
  explicit Speaker(std::string text) : words(std::move(text)) {}
  ~Speaker() { std::cerr << words << " dies" << std::endl; }
  void Trace(Visitor& v) const { v.Visit(next); }
  std::string words;
  Member<Speaker> next;
};

struct Silent {
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Silent> next;
};

struct SpeakerHolder {
  Ref<Speaker> held;
};

TEST(StaticLifetimeTest, StaticMadeBeforeTheEngineDropsItsRefAtExit) {
  const auto child = [] {
    static SpeakerHolder holder;
    holder.held = Make<Speaker>("parent");
    holder.held->next = Make<Speaker>("child");
    std::exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^parent dies\nchild dies\n$");
}

TEST(StaticLifetimeTest, StaticMadeAfterTheEngineDropsItsRefAtExit) {
  const auto child = [] {
    const Ref<Speaker> first = Make<Speaker>("first");
    (void)DefaultHeap().Collect();
    static SpeakerHolder holder = {Make<Speaker>("second")};
    // `first` is on the stack, which exit does not unwind.
    std::exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^second dies\n$");
}

TEST(StaticLifetimeTest, CyclesDroppedAtExitDoNoHarm) {
  const auto child = [] {
    static SpeakerHolder holder = {Make<Speaker>("cycle")};
    holder.held->next = holder.held;
    static AtomicRef<Speaker> published(Make<Speaker>("published"));
    std::exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

TEST(StaticLifetimeTest, ThreadLocalsOfTheMainThreadDropTheirRefsAtExit) {
  const auto child = [] {
    static SpeakerHolder holder = {Make<Speaker>("static")};
    static thread_local SpeakerHolder local = {Make<Speaker>("local")};
    std::exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^local dies\nstatic dies\n$");
}

// The Heap's destructor comes after the collector thread has been parked.
TEST(StaticLifetimeTest, StaticHeapReclaimsItsCyclesAndWhatIsRetiredAtExit) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the child needs a collector thread to park
  const auto child = [] {
    static std::unique_ptr<Heap> heap;
    static AtomicRef<Speaker> published;
    heap = test::NewHeap();
    published.Store(heap->Make<Speaker>("published"));
    {
      const Ref<Speaker> cycle = heap->Make<Speaker>("cycle");
      cycle->next = cycle;
    }
    std::exit(0);
  };
  // Nothing else: no warning of objects that are still referred to.
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^published dies\ncycle dies\n$");
}

TEST(StaticLifetimeTest, WhatDropsHaveLeftIsDestroyedBeforeStaticHeapsEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto child = [] {
    static std::unique_ptr<Heap> heap;
    HeapOptions options = test::QuietOptions();
    options.drop_budget = 64;
    heap = test::NewHeap(options);
    Ref<Silent> list;
    for (int i = 0; i < 100'000; ++i) {
      Ref<Silent> next = heap->Make<Silent>();
      next->next = std::move(list);
      list = std::move(next);
    }
    list.Reset();
    heap->Make<Speaker>("last").DropLater();
    std::exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "^last dies\n$");
}

TEST(StaticLifetimeTest, ThreadsMayOutliveMain) {
  const auto child = [] {
    std::promise<void> running;
    std::thread([&] {
      running.set_value();
      while (true) {
        const Ref<Silent> cycle = Make<Silent>();
        cycle->next = cycle;
        const Ref<Silent> single = Make<Silent>();
      }
    }).detach();
    running.get_future().wait();
    (void)DefaultHeap().Collect();
    std::_Exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace reef
