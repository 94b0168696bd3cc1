// Deaths that come late, of published objects and of what waited for a bias: which of the program's
// code they run inside another statement, and that memory is bounded all the same.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <string>
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
using Words = std::vector<std::string>;

struct Item {
  explicit Item(Lives& lives) : life(lives) {}
  Life life;
  std::array<char, 1000> bytes{};
};
constexpr uint64_t kMiB = uint64_t{1} << 20;

// The collector thread stands still but where a test waits for it: what runs meanwhile, the tests'
// threads run.
class LateDeathTest : public test::QuietHeapTest {
 protected:
  LateDeathTest() {
    SetCollectorDriven(true);
    // From its end on it stands.
    EXPECT_TRUE(DriveCollector(std::chrono::nanoseconds(0)).ok());
  }
  ~LateDeathTest() override { SetCollectorDriven(false); }

  // Replaces a cell's object until so many bytes have been retired by it.
  template <typename Publish>
  void Retire(uint64_t bytes, Publish publish) {
    AtomicRef<Item> cell;
    for (uint64_t done = 0; done < bytes; done += sizeof(Item)) {
      Ref<Item> item = heap_->Make<Item>(lives_);
      publish(item);
      cell.Store(std::move(item));
    }
  }
  void Retire(uint64_t bytes) {
    Retire(bytes, [](const Ref<Item>&) {});
  }
  void Tell(const std::string& what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    told_.push_back(std::this_thread::get_id() == main_ ? what + " on main" : what);
  }

  const std::thread::id main_ = std::this_thread::get_id();
  std::mutex mutex_;
  Words told_;
};

struct Telling {
  Telling(Lives& lives, std::function<void(const std::string&)> whom, std::string own_name)
      : life(lives), tell(std::move(whom)), name(std::move(own_name)) {}
  ~Telling() { tell("~" + name); }
  void Trace(Visitor& v) const { v.Visit(next); }
  void Finalize(Ref<Telling> /*self*/) { tell("finalize " + name); }
  Life life;
  std::function<void(const std::string&)> tell;
  std::string name;
  Member<Telling> next;
};

// A program that stores with a lock held must not meet other threads' code, which may take it.
TEST_F(LateDeathTest, AStoreRunsNothingThatOthersHaveDropped) {
  std::mutex lock;
  const auto tell = [&](const std::string& what) {
    Tell(what);
    const std::unique_lock<std::mutex> taken(lock, std::try_to_lock);
    if (!taken) Tell("under the lock");
  };
  // Finalize of a published object runs where it is dropped; of what it holds, when it dies.
  Ref<Telling> object = heap_->Make<Telling>(lives_, tell, "a");
  const WeakCallback<Telling> callback(object, [&] { tell("callback"); });
  std::thread([&, gone = std::move(object)]() mutable {
    gone->next = heap_->Make<Telling>(lives_, tell, "b");
    AtomicRef<Telling> cell(std::move(gone));
    cell.Store(nullptr);
  }).join();
  {
    const std::lock_guard<std::mutex> held(lock);
    Retire(5 * kMiB);
  }
  EXPECT_EQ(told_, Words({"finalize a"})) << "at the drop, on that thread";
  (void)heap_->Collect();
  EXPECT_EQ(told_, Words({"finalize a", "callback", "~a", "finalize b", "~b"}));
}

TEST_F(LateDeathTest, AStoreDestroysWhatItsOwnThreadHasDroppedAndCallsNothing) {
  std::vector<WeakCallback<Item>> callbacks;
  int published = 0;
  Retire(8 * kMiB, [&](const Ref<Item>& item) {
    if (published++ % 100 == 0) callbacks.emplace_back(item, [this] { Tell("callback"); });
  });
  EXPECT_LT(lives_.now() * static_cast<int64_t>(sizeof(Item)), int64_t{4} * kMiB);
  EXPECT_LE(heap_->Stats().retired_bytes, 3 * kMiB);
  EXPECT_EQ(told_, Words());
  (void)heap_->Collect();
  EXPECT_EQ(told_, Words(callbacks.size(), "callback"));
}

// The same inside a destructor, where what is due would be carried out as if it were part of that.
TEST_F(LateDeathTest, NorDoesADestructorThatStores) {
  struct Storing {
    explicit Storing(std::function<void()> what) : store(std::move(what)) {}
    ~Storing() { store(); }
    std::function<void()> store;
  };
  std::vector<WeakCallback<Item>> callbacks;
  heap_
      ->Make<Storing>([&] {
        int published = 0;
        Retire(8 * kMiB, [&](const Ref<Item>& item) {
          if (published++ % 100 == 0) callbacks.emplace_back(item, [this] { Tell("callback"); });
        });
      })
      .Reset();
  EXPECT_EQ(told_, Words());
  (void)heap_->Collect();
  EXPECT_EQ(told_, Words(callbacks.size(), "callback"));
}

// Nobody takes over: after so much the thread that makes the work does it.
TEST_F(LateDeathTest, WhatWaitsForTheCollectorThreadIsBounded) {
  std::vector<WeakCallback<Item>> callbacks;
  std::atomic<size_t> called{0};
  uint64_t most = 0;
  constexpr uint64_t kBytes = 64 * kMiB;
  Retire(kBytes, [&](const Ref<Item>& item) {
    callbacks.emplace_back(item, [this, &called] {
      if (++called == 1) Tell("callback");
    });
    most = std::max(most, static_cast<uint64_t>(lives_.now()) * sizeof(Item));
  });
  EXPECT_EQ(told_, Words({"callback on main"}));
  EXPECT_LT(most, 24 * kMiB);
  (void)heap_->Collect();
  EXPECT_EQ(called, callbacks.size());
}

// Objects of a thread that stands still: to drop them elsewhere takes a revocation.
class LateRevocationTest : public LateDeathTest {
 protected:
  template <typename T, typename... Args>
  std::vector<Ref<T>> MakeElsewhere(int count, const Args&... args) {
    std::vector<Ref<T>> made;
    std::promise<void> done;
    owners_.emplace_back([&] {
      for (int i = 0; i < count; ++i) made.push_back(heap_->Make<T>(lives_, args...));
      done.set_value();
      ended_.wait(false);
    });
    done.get_future().wait();
    return made;
  }
  std::vector<Ref<Telling>> MakeTelling(int count) {
    return MakeElsewhere<Telling>(
        count, [this](const std::string& what) { Tell(what); }, std::string("a"));
  }
  // Nothing was told so far; the collector thread tells all.
  void ExpectTheCollectorTells(size_t count) {
    EXPECT_EQ(told_, Words());
    (void)heap_->Collect();
    EXPECT_EQ(told_.size(), count);
    for (const std::string& told : told_) EXPECT_EQ(told.find("main"), std::string::npos);
  }
  void TearDown() override {
    ended_ = true;
    ended_.notify_all();
    for (std::thread& owner : owners_) owner.join();
    LateDeathTest::TearDown();
  }

 private:
  std::atomic<bool> ended_{false};
  std::vector<std::thread> owners_;
};

// The statement that revokes for many drops finalizes for none of the earlier ones.
TEST_F(LateRevocationTest, ADropThatRevokesFinalizesNothingOfEarlierOnes) {
  std::vector<Ref<Telling>> finalizable = MakeTelling(100);
  std::vector<Ref<Item>> plain = MakeElsewhere<Item>(100);
  plain.clear();
  EXPECT_LT(lives_.now(), 200) << "nothing was biased, or nobody revokes";
  finalizable.clear();
  ExpectTheCollectorTells(200);
}

// Inside a destructor what comes due would be part of what that has dropped.
TEST_F(LateRevocationTest, NorDoesADestructorThatRevokes) {
  struct Holder {
    std::vector<Ref<Item>> items;
  };
  std::vector<Ref<Telling>> finalizable = MakeTelling(40);
  std::vector<Ref<Item>> watched = MakeElsewhere<Item>(5);
  std::vector<WeakCallback<Item>> callbacks;
  for (const Ref<Item>& item : watched) {
    callbacks.emplace_back(item, [this] { Tell("callback"); });
  }
  Ref<Holder> holder = heap_->Make<Holder>();
  holder->items = MakeElsewhere<Item>(100);
  finalizable.clear();
  watched.clear();
  const int64_t before = lives_.now();
  holder.Reset();
  EXPECT_LT(lives_.now(), before) << "nothing was biased, or nobody revokes";
  ExpectTheCollectorTells(40 * 2 + 5);
}

// Nor where another object of the same revocation is retired, and the thread reclaims.
TEST_F(LateRevocationTest, NorDoesOneThatRetires) {
  struct Big {
    explicit Big(Lives& lives) : life(lives) {}
    Life life;
    std::array<char, 2 * kMiB> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  };
  std::vector<Ref<Telling>> finalizable = MakeTelling(40);
  std::vector<Ref<Big>> big = MakeElsewhere<Big>(40);
  AtomicRef<Big> cell;
  for (Ref<Big>& each : big) {
    cell.Store(std::move(each));
    each = cell.Exchange(nullptr);
  }
  while (!big.empty()) {
    big.pop_back();
    finalizable.pop_back();
  }
  ExpectTheCollectorTells(40 * 2);
}

}  // namespace
}  // namespace reef
