// Vector<T> against the user code that its own operations run: the destructors of what it drops,
// and on_limit when it takes memory, may change the vector.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Item {
  explicit Item(std::function<void()> last_act = nullptr) : at_end(std::move(last_act)) {}
  ~Item() {
    if (at_end) at_end();
  }
  std::function<void()> at_end;
};

struct Bag {
  void Trace(Visitor& v) const { v.Visit(items, others); }
  Vector<Item> items;
  Vector<Item> others;
};

// Of a vector: enough that its buffer does not fit beside the ballast.
constexpr size_t kMany = 300'000;

class VectorReentryTest : public testing::Test {
 protected:
  VectorReentryTest() {
    HeapOptions options = test::QuietOptions();
    options.max_bytes = uint64_t{32} << 20;
    options.on_limit = [this](const LimitReport&) {
      if (!act_) return;
      for (void* block : std::exchange(ballast_, {})) heap_->Deallocate(block);
      std::exchange(act_, nullptr)();
    };
    heap_ = test::NewHeap(options);
    bag_ = heap_->Make<Bag>();
  }
  ~VectorReentryTest() override {
    bag_.Reset();
    (void)heap_->Collect();
    EXPECT_EQ(heap_->Stats().live_objects, 0u);
    EXPECT_TRUE(heap_->Verify().ok());
  }
  // The next buffer is made after `act` has run.
  void AtTheLimit(std::function<void()> act) {
    for (;;) {
      void* block = heap_->TryAllocate(size_t{1} << 20);
      if (block == nullptr) break;
      ballast_.push_back(block);
    }
    act_ = std::move(act);
  }
  void ExpectActed() const {
    EXPECT_FALSE(act_) << "no limit was met";
    EXPECT_TRUE(ballast_.empty());
  }

  std::vector<void*> ballast_;
  std::function<void()> act_;
  std::unique_ptr<Heap> heap_;
  Ref<Bag> bag_;
};

TEST_F(VectorReentryTest, SourceOfACopyIsClearedByOnLimit) {
  bag_->items.resize(kMany);
  AtTheLimit([this] {
    bag_->items.clear();
    bag_->items.shrink_to_fit();
  });
  bag_->others = bag_->items;
  ExpectActed();
  EXPECT_TRUE(bag_->items.empty());
  EXPECT_TRUE(bag_->others.empty());
}

TEST_F(VectorReentryTest, SourceOfACopyIsShortenedByOnLimit) {
  bag_->items.resize(kMany);
  bag_->items[3] = heap_->Make<Item>();
  AtTheLimit([this] {
    bag_->items.resize(5);
    bag_->items.shrink_to_fit();
  });
  bag_->others = bag_->items;
  ExpectActed();
  EXPECT_EQ(bag_->others.size(), 5u);
  EXPECT_EQ(bag_->others[3], bag_->items[3]);
}

TEST_F(VectorReentryTest, OnLimitAddsToAVectorThatShrinks) {
  bag_->items.reserve(2 * kMany);
  bag_->items.resize(kMany);
  const Ref<Item> item = heap_->Make<Item>();
  AtTheLimit([&] { bag_->items.push_back(item); });
  bag_->items.shrink_to_fit();
  ExpectActed();
  EXPECT_EQ(bag_->items.size(), kMany + 1);
  EXPECT_GE(bag_->items.capacity(), kMany + 1);
  EXPECT_EQ(bag_->items.back(), item);
}

TEST_F(VectorReentryTest, OnLimitFillsAVectorThatGrows) {
  bag_->items.resize(4);
  AtTheLimit([this] { bag_->items.resize(2 * kMany); });
  bag_->items.reserve(kMany);
  ExpectActed();
  EXPECT_EQ(bag_->items.size(), 2 * kMany);
  EXPECT_GE(bag_->items.capacity(), 2 * kMany);
}

TEST_F(VectorReentryTest, DestructorShrinksTheVectorThatDropsIt) {
  Vector<Item>& items = bag_->items;
  for (int i = 0; i < 3; ++i) items.push_back(heap_->Make<Item>());
  items.push_back(heap_->Make<Item>([&items] {
    items.pop_back();
    items.pop_back();
    items.shrink_to_fit();
  }));
  items.resize(2);
  EXPECT_EQ(items.size(), 2u);
  EXPECT_GE(items.capacity(), 2u);
  EXPECT_TRUE(items[0]);
  EXPECT_FALSE(items[1]) << "made anew by resize";
}

TEST_F(VectorReentryTest, DestructorEmptiesTheVectorThatDropsIt) {
  Vector<Item>& items = bag_->items;
  items.push_back(heap_->Make<Item>());
  items.push_back(heap_->Make<Item>([&items] {
    items.clear();
    items.shrink_to_fit();
  }));
  items.clear();
  EXPECT_EQ(items.capacity(), 0u);
  items.push_back(heap_->Make<Item>([&items] { items.push_back(nullptr); }));
  items.swap_remove(0);
  EXPECT_EQ(items.size(), 1u);
}

}  // namespace
}  // namespace reef
