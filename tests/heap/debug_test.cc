// Looking at what collections find: kept and printed garbage, statistics, and references to objects
// of any type.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {

struct Husband;
struct Wife {
  explicit Wife(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(husband, things); }
  test::Life life;
  Member<Husband> husband;
  Vector<Wife> things;
};
struct Husband {
  explicit Husband(test::Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(wife); }
  test::Life life;
  Member<Wife> wife;
};
struct Base {
  int64_t number = 4;
};
struct Derived : Base {
  int64_t other = 5;
};

namespace {

using test::Lives;

class DebugTest : public testing::Test {
 protected:
  void MakeCouple() {
    const Ref<Wife> wife = heap_->Make<Wife>(lives_);
    const Ref<Husband> husband = heap_->Make<Husband>(lives_);
    wife->husband = husband;
    husband->wife = wife;
  }

  Lives lives_;
  std::unique_ptr<Heap> heap_ = test::NewHeap();
};

TEST_F(DebugTest, FlagsAreWhatWasSet) {
  EXPECT_EQ(heap_->Debug(), DebugFlags());
  heap_->SetDebug({.keep_garbage = true});
  EXPECT_EQ(heap_->Debug(), (DebugFlags{.keep_garbage = true}));
  HeapOptions options = test::QuietOptions();
  options.debug.print_garbage = true;
  EXPECT_EQ(test::NewHeap(options)->Debug(), (DebugFlags{.print_garbage = true}));
}

TEST_F(DebugTest, GarbageIsKeptWithTypesAndMayLiveOn) {
  heap_->SetDebug({.keep_garbage = true});
  MakeCouple();
  const CollectionReport report = heap_->Collect();
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(report.kept, 2u);
  EXPECT_EQ(lives_.ended(), 0);
  std::vector<AnyRef> garbage = heap_->TakeGarbage();
  EXPECT_TRUE(heap_->TakeGarbage().empty());
  ASSERT_EQ(garbage.size(), 2u);
  if (!garbage[0].Is<Wife>()) std::swap(garbage[0], garbage[1]);
  EXPECT_EQ(garbage[0].type_name(), "reef::Wife");
  EXPECT_EQ(garbage[1].type_name(), "reef::Husband");
  EXPECT_GE(garbage[0].bytes(), sizeof(Wife));
  EXPECT_EQ(garbage[0].As<Husband>(), nullptr);
  const Ref<Wife> wife = garbage[0].As<Wife>();
  ASSERT_NE(wife, nullptr);
  EXPECT_EQ(wife.get(), garbage[0].address());
  EXPECT_EQ(wife->husband.get(), garbage[1].address());
  EXPECT_TRUE(heap_->Verify().ok());
  // Reachable again, they live as any object.
  garbage.clear();
  EXPECT_EQ(heap_->Collect().kept, 0u);
  EXPECT_EQ(wife->husband->wife, wife);
}

TEST_F(DebugTest, KeptGarbageIsFoundAgainAndGoesAtLast) {
  heap_->SetDebug({.keep_garbage = true});
  MakeCouple();
  EXPECT_EQ(heap_->Collect().kept, 2u);
  heap_->TakeGarbage().clear();
  EXPECT_EQ(heap_->Collect().kept, 2u);
  heap_->SetDebug({});
  EXPECT_EQ(heap_->Collect().objects, 0u) << "the list holds them";
  heap_->TakeGarbage().clear();
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(DebugTest, HeapThatEndsTakesKeptGarbageWithIt) {
  heap_->SetDebug({.keep_garbage = true});
  MakeCouple();
  EXPECT_EQ(heap_->Collect().kept, 2u);
  MakeCouple();
  testing::internal::CaptureStderr();
  heap_.reset();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "nothing is left to be reported";
  EXPECT_EQ(lives_.now(), 0);
}

TEST_F(DebugTest, GarbageIsKeptWhileThreadsWork) {
  heap_->SetDebug({.keep_garbage = true});
  test::RunThreads(3, [&](int) {
    for (int i = 1; i <= 500; ++i) {
      MakeCouple();
      if (i % 50 != 0) continue;
      (void)heap_->Collect();
      heap_->TakeGarbage().clear();  // also some of what others have made
    }
  });
  EXPECT_EQ(lives_.ended(), 0) << "cycles only go by collections";
  heap_->SetDebug({});
  heap_->TakeGarbage().clear();
  (void)heap_->Collect();
  EXPECT_EQ(lives_.now(), 0);
  EXPECT_TRUE(heap_->Verify().ok());
}

TEST_F(DebugTest, GarbageAndStatisticsArePrinted) {
  heap_->SetDebug({.print_statistics = true, .print_garbage = true});
  MakeCouple();
  testing::internal::CaptureStderr();
  EXPECT_EQ(heap_->Collect().objects, 2u);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("unreachable: reef::Wife at 0x"), std::string::npos) << text;
  EXPECT_NE(text.find("unreachable: reef::Husband at 0x"), std::string::npos) << text;
  EXPECT_NE(text.find("collection 1 (request): 2 objects"), std::string::npos) << text;
  EXPECT_EQ(lives_.now(), 0);
  heap_->SetDebug({});
  testing::internal::CaptureStderr();
  (void)heap_->Collect();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(DebugTest, AnyRefCountsAsARef) {
  Ref<Wife> wife = heap_->Make<Wife>(lives_);
  AnyRef any = wife;
  EXPECT_EQ(RefCount(wife), 3) << "the argument included";
  AnyRef copy = any;
  EXPECT_EQ(RefCount(wife), 4);
  EXPECT_EQ(copy, any);
  const AnyRef moved = std::move(copy);
  EXPECT_EQ(RefCount(wife), 4);
  EXPECT_FALSE(copy);  // NOLINT(bugprone-use-after-move)
  any.Reset();
  wife.Reset();
  EXPECT_EQ(lives_.now(), 1);
  EXPECT_EQ(moved.As<Wife>().get(), moved.address());
  AnyRef last = moved;
  const AnyRef other = heap_->Make<Husband>(lives_);
  EXPECT_NE(last, other);
}

TEST_F(DebugTest, AnyRefKnowsTheObjectsOwnType) {
  const Ref<Derived> derived = heap_->Make<Derived>();
  const Ref<Base> base = derived;
  const AnyRef any = base;
  EXPECT_TRUE(any.Is<Derived>());
  EXPECT_FALSE(any.Is<Base>()) << "it was made as a Derived";
  EXPECT_EQ(any.As<Base>(), nullptr);
  EXPECT_EQ(any.As<Derived>()->other, 5);
  EXPECT_EQ(any.type_name(), "reef::Derived");
  const Ref<const Derived> constant = derived;
  EXPECT_TRUE(AnyRef(constant).Is<Derived>());
}

TEST_F(DebugTest, EmptyAnyRefIsNoType) {
  const AnyRef none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.Is<Wife>());
  EXPECT_EQ(none.As<Wife>(), nullptr);
  EXPECT_EQ(none.type_name(), "");
  EXPECT_EQ(none.bytes(), 0u);
  EXPECT_EQ(none.address(), nullptr);
  EXPECT_FALSE(AnyRef(Ref<Wife>()));
}

}  // namespace
}  // namespace reef
