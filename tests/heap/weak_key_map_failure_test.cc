// WeakKeyMap's failures: wrong calls, and memory that cannot be had.
#include <new>
#include <stdexcept>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/fault_support.h"
#include "tests/heap/weak_key_map_support.h"

namespace reef {
namespace {

using test::Leaf;
using test::Node;
using test::WeakKeyMapTest;

struct Base {
  void Trace(Visitor&) const {}
};
struct Secretive : Base {
 private:
  void Trace(Visitor&) const {}
};

TEST_F(WeakKeyMapTest, MisuseIsDiagnosed) {
  WeakKeyMap<Base, Leaf> map;
  const Ref<Base> key = heap_->Make<Secretive>();
  EXPECT_DEATH(map.Set(key, MakeLeaf()),
               "the key of a WeakKeyMap is an object whose type has no "
               "Trace");
  auto elsewhere = test::NewHeap();
  const Ref<Node> ours = MakeNode();
  const Ref<Leaf> theirs = elsewhere->Make<Leaf>(lives_);
  if (REEF_IS_CHECKED) {
    EXPECT_DEATH(leaves_.Set(ours, theirs), "key and value of a WeakKeyMap are of different heaps");
  } else {
    EXPECT_THROW(leaves_.Set(ours, theirs), std::invalid_argument);
    EXPECT_FALSE(leaves_.Find(ours));
  }
}

// What cannot be had is reported, and nothing has changed.
TEST_F(WeakKeyMapTest, OutOfMemoryChangesNothing) {
  HeapOptions options = test::QuietOptions();
  options.max_bytes = uint64_t{1} << 20;
  auto small = test::NewHeap(options);
  const Ref<Node> key = small->Make<Node>(lives_);
  const Ref<Node> value = small->Make<Node>(lives_, 1);
  const Ref<Node> mapped = small->Make<Node>(lives_);
  nodes_.Set(mapped, value);
  std::vector<Ref<Node>> keys;
  bool full = false;
  try {
    for (;;) keys.push_back(small->Make<Node>(lives_));
  } catch (const OutOfMemory&) {
  }
  // The blocks of the map's own objects last a little longer.
  size_t entered = 0;
  for (const Ref<Node>& each : keys) {
    try {
      nodes_.Set(each, value);
      ++entered;
    } catch (const OutOfMemory&) {
      full = true;
      EXPECT_FALSE(nodes_.Find(each));
      break;
    }
  }
  ASSERT_TRUE(full);
  EXPECT_EQ(nodes_.size(), entered + 1);
  EXPECT_THROW((void)nodes_.FindOrMake(keys[entered], [&] { return value; }), OutOfMemory);
  nodes_.Set(mapped, mapped);  // needs no memory
  EXPECT_EQ(nodes_.Find(mapped), mapped);
  EXPECT_TRUE(nodes_.Erase(mapped));
  keys.clear();
  (void)small->Collect();
  nodes_.Set(key, value);
  EXPECT_EQ(nodes_.Find(key), value);
  (void)small->Collect();
  EXPECT_TRUE(small->Verify().ok());
  nodes_.clear();
}

// Every request for memory fails in turn, alone and with all that follow.
class WeakKeyMapFaultTest : public test::FaultTest {
 protected:
  // False if memory was missing: then the map is what it was before that call.
  bool Run(Heap& heap) {
    WeakKeyMap<Node, Node> map;
    WeakKeyMap<Node, Node> second;
    size_t entered = 0;
    try {
      std::vector<Ref<Node>> keys;
      for (int i = 0; i < 20; ++i) {
        keys.push_back(heap.Make<Node>(lives_));
        Ref<Node> value = heap.Make<Node>(lives_, i);
        value->next = keys.back();
        map.Set(keys.back(), value);
        ++entered;
        EXPECT_EQ(second.FindOrMake(keys.back(), [&value] { return value; }), value);
      }
      size_t seen = 0;
      map.ForEach([&seen](const Ref<Node>&, const Ref<Node>&) { ++seen; });
      EXPECT_EQ(seen, entered);
    } catch (const std::bad_alloc&) {
      EXPECT_LE(map.size(), entered);
      EXPECT_LE(second.size(), entered);
      return false;
    }
    return true;
  }
};

TEST_F(WeakKeyMapFaultTest, EachRequestInTurn) {
  FailEachInTurn(1, [this](Heap& heap) { return Run(heap); });
}

TEST_F(WeakKeyMapFaultTest, AndAllThatFollow) {
  FailEachInTurn(kAll, [this](Heap& heap) { return Run(heap); });
}

}  // namespace
}  // namespace reef
