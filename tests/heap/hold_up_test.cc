// Allocations at the limit where user code on the collector's thread waits for what the allocating
// thread holds: they end in the typed error, and the heap goes on.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Says when its end has begun, and then waits for the lock.
struct Door {
  std::mutex mutex;
  std::atomic<int> knocks{0};
  void Pass() {
    ++knocks;
    const std::lock_guard<std::mutex> lock(mutex);
  }
};

struct Locker {
  Locker(Lives& lives, Door& its_door) : life(lives), door(its_door) {}
  ~Locker() { door.Pass(); }
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Door& door;
  Member<Locker> self;
};
struct Finalized {
  Finalized(Lives& lives, Door& its_door) : life(lives), door(its_door) {}
  void Finalize(const Ref<Finalized>&) { door.Pass(); }
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Door& door;
  Member<Finalized> self;
};
struct Page {
  explicit Page(Lives& lives) : life(lives) {}
  Life life;
  std::array<char, 4000> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};

class HoldUpTest : public test::QuietHeapTest {
 protected:
  HoldUpTest() {
    HeapOptions options = test::QuietOptions();
    options.max_bytes = 8 * kMiB;
    options.on_limit = [this](const LimitReport& report) { reports_.push_back(report); };
    heap_ = test::NewHeap(options);
  }
  std::vector<Ref<Page>> Fill() {
    std::vector<Ref<Page>> pages;
    for (;;) {
      absl::StatusOr<Ref<Page>> page = heap_->TryMake<Page>(lives_);
      if (!page.ok()) return pages;
      pages.push_back(*std::move(page));
    }
  }
  template <typename T>
  void MakeGarbage() {
    Ref<T> ring = heap_->Make<T>(lives_, door_);
    ring->self = ring;
  }
  // With the door held: allocations fail before long, and then at once.
  void ExpectAnEnd() {
    const std::unique_lock<std::mutex> lock(door_.mutex);
    const auto start = Clock::now();
    std::vector<Ref<Page>> pages = Fill();
    EXPECT_GT(pages.size() * sizeof(Page), 6 * kMiB);
    EXPECT_EQ(door_.knocks, 1) << "the collector does not wait here";
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(20));
    ASSERT_FALSE(reports_.empty());
    EXPECT_FALSE(reports_.back().collected);
    const auto later = Clock::now();
    for (int i = 0; i < 100; ++i) EXPECT_THROW((void)heap_->Make<Page>(lives_), OutOfMemory);
    EXPECT_LT(Clock::now() - later, std::chrono::seconds(5)) << "each waits anew";
  }

  Door door_;
  std::vector<LimitReport> reports_;
};

TEST_F(HoldUpTest, ByADestructor) {
  MakeGarbage<Locker>();
  ExpectAnEnd();
}

TEST_F(HoldUpTest, ByAFinalizer) {
  MakeGarbage<Finalized>();
  ExpectAnEnd();
}

TEST_F(HoldUpTest, ByACollectionCallback) {
  const CollectionCallback callback = heap_->OnCollection([this](const CollectionEvent& event) {
    if (event.number == 1 && event.moment == CollectionEvent::Moment::kStart) door_.Pass();
  });
  ExpectAnEnd();
}

TEST_F(HoldUpTest, ByAnotherHeapsDestructor) {
  const std::unique_ptr<Heap> other = test::NewHeap();
  {
    const std::unique_lock<std::mutex> lock(door_.mutex);
    {
      const Ref<Locker> ring = other->Make<Locker>(lives_, door_);
      ring->self = ring;
    }
    std::thread collecting([&] { (void)other->Collect(); });
    while (door_.knocks == 0) std::this_thread::yield();
    const std::vector<Ref<Page>> pages = Fill();
    EXPECT_FALSE(pages.empty());
    door_.mutex.unlock();
    collecting.join();
    door_.mutex.lock();
  }
}

TEST_F(HoldUpTest, ExternalBytesAreRefusedAsWell) {
  struct Owner {
    ExternalBytes bytes;
  };
  const Ref<Owner> owner = heap_->Make<Owner>();
  owner->bytes.Resize(6 * kMiB);
  MakeGarbage<Locker>();
  const std::unique_lock<std::mutex> lock(door_.mutex);
  EXPECT_THROW(owner->bytes.Resize(8 * kMiB), OutOfMemory);
  EXPECT_EQ(heap_->TryAddExternalBytes(4 * kMiB).code(), absl::StatusCode::kResourceExhausted);
}

// User code that goes on is waited for.
struct Slow {
  explicit Slow(Lives& lives) : life(lives) {}
  ~Slow() {
    const auto end = Clock::now() + std::chrono::milliseconds(1500);
    while (Clock::now() < end) {
      const Ref<int64_t> number = Make<int64_t>(1);
      AtomicRef<int64_t> place(number);
      (void)place.Load();
    }
  }
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Member<Slow> self;
  std::array<char, size_t{4} << 20> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
};

TEST_F(HoldUpTest, NotByADestructorThatIsAtWork) {
  {
    const Ref<Slow> ring = heap_->Make<Slow>(lives_);
    ring->self = ring;
  }
  void* block = heap_->TryAllocate(4 * kMiB + kMiB / 2);
  EXPECT_NE(block, nullptr);
  heap_->Deallocate(block);
}

// Many that are slow together, and each of which comes to its end, are waited for as well.
struct Pausing {
  explicit Pausing(Lives& lives) : life(lives) {}
  ~Pausing() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Member<Pausing> self;
};
struct PausingFinalizer {
  explicit PausingFinalizer(Lives& lives) : life(lives) {}
  void Finalize(const Ref<PausingFinalizer>&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  void Trace(Visitor& v) const { v.Visit(self); }
  Life life;
  Member<PausingFinalizer> self;
};

TEST_F(HoldUpTest, NotByManyThatAreSlow) {
  for (int i = 0; i < 80; ++i) {
    const Ref<Pausing> ring = heap_->Make<Pausing>(lives_);
    ring->self = ring;
    const Ref<PausingFinalizer> other = heap_->Make<PausingFinalizer>(lives_);
    other->self = other;
  }
  const std::vector<Ref<Page>> pages = Fill();
  ASSERT_FALSE(reports_.empty());
  EXPECT_TRUE(reports_.front().collected);
}

}  // namespace
}  // namespace reef
