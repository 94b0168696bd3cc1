// On which threads finalizers and callbacks run, and that they run once where many threads look.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Node {
  Node(Lives& lives, std::function<void(const char*)> at_end)
      : life(lives), told(std::move(at_end)) {}
  ~Node() { told("destructor"); }
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(Ref<Node> /*self*/) { told("finalizer"); }
  Life life;
  std::function<void(const char*)> told;
  Member<Node> next;
};

class FinalizerThreadsTest : public test::QuietHeapTest {
 protected:
  struct Report {
    const char* what;
    std::thread::id thread;
  };
  void Tell(const char* what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    told_.push_back({what, std::this_thread::get_id()});
  }
  Ref<Node> MakeNode() {
    return heap_->Make<Node>(lives_, [this](const char* what) { Tell(what); });
  }
  std::mutex mutex_;
  std::vector<Report> told_;
};

TEST_F(FinalizerThreadsTest, OnTheDroppingThreadOrTheCollectors) {
  for (const bool cycle : {false, true}) {
    SCOPED_TRACE(cycle ? "collected" : "counted");
    told_.clear();
    Ref<Node> node = MakeNode().Share();  // dies at once on any thread
    if (cycle) node->next = node;
    const WeakCallback<Node> callback(node, [this] { Tell("callback"); });
    const Finalizer finalizer(node, [this] { Tell("finalizer handle"); });
    std::thread::id dropper;
    std::thread([gone = std::move(node), &dropper]() mutable {
      dropper = std::this_thread::get_id();
      gone.Reset();
    }).join();
    EXPECT_EQ(told_.size(), cycle ? 0u : 4u);
    (void)heap_->Collect();
    ASSERT_EQ(told_.size(), 4u);
    for (const Report& told : told_) {
      EXPECT_EQ(told.thread, cycle ? told_[0].thread : dropper) << told.what;
      EXPECT_NE(told.thread, std::this_thread::get_id()) << told.what;
    }
    EXPECT_EQ(told_[0].thread == dropper, !cycle);
  }
}

// Objects that bring themselves back at random, into cells that other threads empty and read, and
// that are re-armed at random: no finalizer too many, none too few.
TEST_F(FinalizerThreadsTest, OncePerObjectAndArmingUnderRaces) {
  struct Item;
  struct Pool {
    AtomicRef<Item> cells[8];
  };
  struct Item {
    Item(Lives& lives, Pool* where, uint64_t lot) : life(lives), pool(where), back(lot) {}
    ~Item() {
      const int runs = finalized.load();
      if (runs < 1 || runs > 1 + armed.load()) std::abort();
    }
    void Trace(Visitor& v) const { v.Visit(next); }
    void Finalize(Ref<Item> self) {
      finalized.fetch_add(1);
      if (back % 3 == 0 && finalized.load() < 4) pool->cells[back % 8].Store(std::move(self));
    }
    Life life;
    Pool* pool;
    const uint64_t back;
    Member<Item> next;
    std::atomic<int> finalized{0};
    std::atomic<int> armed{0};
  };
  const uint64_t seed = test::Seed();
  SCOPED_TRACE(test::SeedNote(seed));
  const size_t rounds = test::Sized(20'000, 2'000);
  Pool pool;
  std::atomic<int64_t> met{0};
  {
    const test::ConstantCollector collector(*heap_);
    test::RunThreads(3, [&](int number) {
      std::mt19937_64 random(seed + static_cast<uint64_t>(number));
      for (size_t i = 0; i < rounds; ++i) {
        Ref<Item> one = heap_->Make<Item>(lives_, &pool, random());
        one->next = heap_->Make<Item>(lives_, &pool, random());
        if (i % 2 == 0) one->next->next = one;
        one.Reset();
        AtomicRef<Item>& cell = pool.cells[test::Below(random, 8)];
        if (Ref<Item> back = random() % 2 == 0 ? cell.Load() : cell.Exchange(nullptr)) {
          ++met;
          if (back->finalized.load() < 1) std::abort();
          if (random() % 4 == 0) {
            ++back->armed;
            RearmFinalizer(back);
          }
        }
      }
    });
  }
  // Who is re-armed comes back once more: into a cell that was emptied.
  for (int i = 0; i < 100 && lives_.now() != 0; ++i) {
    for (AtomicRef<Item>& cell : pool.cells) cell.Store(nullptr);
    (void)heap_->Collect();
  }
  EXPECT_GT(met, 0) << "nothing was brought back";
}

}  // namespace
}  // namespace reef
