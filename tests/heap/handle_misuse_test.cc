// What a wrong call gets, by the headers of Ref, Member, Vector, Trace and of control: what is
// diagnosed in checked builds, what the others make of it where they promise something, and what is
// allowed that looks wrong.
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct Node {
  explicit Node(Lives& lives, std::function<void()> last_act = nullptr)
      : life(lives), at_end(std::move(last_act)) {}
  ~Node() {
    if (at_end) at_end();
  }
  void Trace(Visitor& v) const { v.Visit(next, items); }
  Life life;
  Member<Node> next;
  Vector<Node> items;
  std::function<void()> at_end;
};

struct Speaker {
  explicit Speaker(std::function<void()> last_words) : words(std::move(last_words)) {}
  void Trace(Visitor& v) const { v.Visit(self); }
  void Finalize(const Ref<Speaker>&) { words(); }
  Member<Speaker> self;
  std::function<void()> words;
};

class HandleMisuseTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode(std::function<void()> last_act = nullptr) {
    return heap_->Make<Node>(lives_, std::move(last_act));
  }
  absl::StatusCode Freeze() const { return heap_->Freeze().status().code(); }
};

TEST_F(HandleMisuseTest, NullAndMovedFromRefs) {
  Ref<Node> full = MakeNode();
  Ref<Node> moved = full;
  full = std::move(moved);
  for (Ref<Node>* null : {&moved}) {  // NOLINT(bugprone-use-after-move)
    EXPECT_FALSE(*null);
    EXPECT_EQ(*null, Ref<Node>());
    EXPECT_EQ(RefCount(*null), 0);
    EXPECT_EQ(SizeOf(*null), 0u);
    MakeImmortal(*null);
    null->Reset();
    *null = std::move(*null).Share();
    *null = std::move(*null).Adopt();
    std::move(*null).DropLater();
    std::move(*null).DropLater();
    EXPECT_FALSE(StaticRefCast<Node>(*null));
    EXPECT_FALSE(RefTo<Node>(nullptr));
    EXPECT_FALSE(AnyRef(*null).Is<Node>());
    EXPECT_FALSE(Member<Node>(*null)) << "an edge to nothing may be anywhere";
  }
  EXPECT_EQ(RefCount(full), 2) << "and the argument";
}

#if REEF_IS_CHECKED
// Undefined in other builds.
TEST_F(HandleMisuseTest, NullIsNotDereferenced) {
  const Ref<Node> null;
  const Ref<Node> node = MakeNode();
  EXPECT_DEATH((void)null->next, "reef: a null reef::Ref was dereferenced.*hint: test it first");
  EXPECT_DEATH((void)(*null).next, "reef: a null reef::Ref was dereferenced");
  EXPECT_DEATH((void)node->next->next, "reef: a null reef::Member was dereferenced");
  EXPECT_DEATH((void)(*node->next).next, "reef: a null reef::Member was dereferenced");
}
#endif

TEST_F(HandleMisuseTest, DropLaterInsideADestructorOrFinalizerIsAnOrdinaryDrop) {
  Ref<Node> one = MakeNode();
  Ref<Node> two = MakeNode();
  Ref<Node> outer = MakeNode([&] { std::move(one).DropLater(); });
  outer.Reset();
  EXPECT_EQ(lives_.now(), 1);
  Ref<Speaker> speaker = heap_->Make<Speaker>([&] { std::move(two).DropLater(); });
  speaker.Reset();
  EXPECT_EQ(lives_.now(), 0);
  const ReadScope scope;
  std::move(*std::make_unique<Ref<Node>>(MakeNode())).DropLater();
  EXPECT_TRUE(Eventually([this] { return lives_.now() == 0; })) << "a scope holds up only retired";
}

#if !REEF_IS_CHECKED
// Checked builds abort (MisuseDeathTest.VectorIndexOutOfRange).
TEST_F(HandleMisuseTest, NothingIsRemovedFromAVectorThatHasNothing) {
  const Ref<Node> node = MakeNode();
  Vector<Node>& items = node->items;
  items.pop_back();
  items.swap_remove(0);
  EXPECT_EQ(items.size(), 0u);
  items.push_back(MakeNode());
  items.swap_remove(1);
  items.swap_remove(~size_t{0});
  EXPECT_EQ(items.size(), 1u);
  const Ref<Node> other = MakeNode();
  other->items = std::move(items);
  items.pop_back();  // NOLINT(bugprone-use-after-move): empty
  EXPECT_EQ(other->items.size(), 1u);
  // In the destructor of what a collection reclaims a vector is empty.
  {
    const Ref<Node> ring = MakeNode();
    ring->next = ring;
    ring->items.push_back(ring);
    ring->at_end = [where = ring.get()] {
      where->items.pop_back();
      where->items.swap_remove(0);
      EXPECT_TRUE(where->items.empty());
      EXPECT_FALSE(where->next);
    };
  }
  EXPECT_EQ(heap_->Collect().objects, 2u) << "the object and its buffer";
}
#endif

// An edge that is visited twice is one edge too many to the verifier, and harmless otherwise.
TEST_F(HandleMisuseTest, EdgeVisitedTwiceIsReportedByVerify) {
  struct Twice {
    void Trace(Visitor& v) const { v.Visit(self, self); }
    Member<Twice> self;
  };
  {
    const Ref<Twice> twice = heap_->Make<Twice>();
    twice->self = twice;
    EXPECT_FALSE(heap_->Verify().ok());
  }
  EXPECT_EQ(heap_->Collect().objects, 1u);
}

TEST_F(HandleMisuseTest, AnyRefForgetsConst) {
  const Ref<Node> node = MakeNode();
  const AnyRef any = Ref<const Node>(node);
  EXPECT_EQ(any.As<Node>(), node);
}

TEST_F(HandleMisuseTest, FreezeInWhatACollectionRunsIsRefused) {
  absl::StatusCode in_finalizer{};
  absl::StatusCode in_callback{};
  absl::StatusCode in_destructor{};
  std::optional<WeakCallback<Node>> watch;
  {
    const Ref<Node> node = MakeNode([&] { in_destructor = Freeze(); });
    node->next = node;
    const Ref<Speaker> speaker = heap_->Make<Speaker>([&] { in_finalizer = Freeze(); });
    speaker->self = speaker;
    watch.emplace(node, [&] { in_callback = heap_->Unfreeze().status().code(); });
  }
  (void)heap_->Collect();
  EXPECT_EQ(in_finalizer, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(in_callback, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(in_destructor, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(heap_->FreezeCount(), 0u);
}

TEST_F(HandleMisuseTest, FreezeInWhatADropRunsAndInScopesIsNot) {
  std::vector<absl::StatusCode> codes;
  const auto freeze = [&] { codes.push_back(Freeze()); };
  Ref<Node> node = MakeNode(freeze);
  node.Reset();
  Ref<Speaker> speaker = heap_->Make<Speaker>(freeze);
  speaker.Reset();
  struct Maker {
    explicit Maker(const std::function<void()>& act) { act(); }
  };
  (void)heap_->Make<Maker>(freeze);
  {
    const ReadScope scope;
    freeze();
  }
  EXPECT_EQ(codes, std::vector<absl::StatusCode>(4, absl::StatusCode::kOk));
  EXPECT_TRUE(heap_->Unfreeze().ok());
}

TEST_F(HandleMisuseTest, CollectionCallbackMayUseAllOfControlButCollect) {
  const Ref<Node> kept = MakeNode();
  std::vector<uint64_t> frozen;
  CollectionCallback inner;
  int inner_calls = 0;
  {
    const CollectionCallback told = heap_->OnCollection([&](const CollectionEvent&) {
      frozen.push_back(heap_->Freeze().value_or(99));
      frozen.push_back(heap_->Unfreeze().value_or(99));
      heap_->SetDebug({.keep_garbage = true});
      EXPECT_TRUE(heap_->TakeGarbage().empty());
      heap_->SetDebug({});
      EXPECT_LE(heap_->History().size(), 64u);
      if (!inner) inner = heap_->OnCollection([&](const CollectionEvent&) { ++inner_calls; });
    });
    (void)heap_->Collect();
  }
  EXPECT_GE(frozen.size(), 4u);
  EXPECT_EQ(frozen, std::vector<uint64_t>(frozen.size(), 1));
  EXPECT_GE(inner_calls, 1);
}

TEST_F(HandleMisuseTest, CollectionCallbackAssignedToItselfStays) {
  int calls = 0;
  CollectionCallback told = heap_->OnCollection([&](const CollectionEvent&) { ++calls; });
  CollectionCallback& same = told;
  told = std::move(same);
  EXPECT_TRUE(told);
  (void)heap_->Collect();
  EXPECT_GE(calls, 2);
}

TEST_F(HandleMisuseTest, PauseThatOutlivesItsHeapHoldsForWhatIsLeft) {
  HeapOptions options = test::QuietOptions();
  options.automatic_collection = true;
  options.growth_bytes = 0;
  options.growth_percent = 1;
  options.collector_cpu_percent = 100;
  std::unique_ptr<Heap> heap = test::NewHeap(options);
  Ref<Node> left = heap->Make<Node>(lives_);
  left->next = left;
  {
    const CollectionPause pause(*heap);
    testing::internal::CaptureStderr();
    heap.reset();
    EXPECT_NE(testing::internal::GetCapturedStderr(), "");
    left.Reset();
    EXPECT_FALSE(Eventually([this] { return lives_.now() == 0; }, std::chrono::milliseconds(150)));
  }
  EXPECT_TRUE(Eventually([this] { return lives_.now() == 0; }));
}

}  // namespace
}  // namespace reef
