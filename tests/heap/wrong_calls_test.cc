// What a wrong call gets, by the headers of weak handles, finalizers, hooks and atomic cells: a
// message and an abort in checked builds, otherwise the documented result; and empty handles, of
// which everything may be called.
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Node {
  void Trace(Visitor& v) const { v.Visit(next); }
  int Twice(int value) { return 2 * value; }
  AtomicMember<Node> next;
};

struct Finalizable {
  explicit Finalizable(int* count) : finalized(count) {}
  void Finalize(const Ref<Finalizable>&) { ++*finalized; }
  int* finalized;
};

class WrongCallsTest : public test::QuietHeapTest {
 protected:
  Ref<Node> MakeNode() { return heap_->Make<Node>(); }
};

TEST_F(WrongCallsTest, EmptyAndMovedFromWeakHandles) {
  const Ref<Node> node = MakeNode();
  Weak<Node> full = node;
  const Weak<Node> moved = std::move(full);
  for (const Weak<Node>& weak :
       {full, Weak<Node>(), Weak<Node>(Ref<Node>()), Weak<Node>(nullptr),
        Weak<Node>::FromManaged(nullptr)}) {  // NOLINT(bugprone-use-after-move)
    EXPECT_FALSE(weak.Lock());
    EXPECT_TRUE(weak.IsKnownDead());
    EXPECT_FALSE(weak.With([](Node&) { FAIL() << "called on nothing"; }));
    EXPECT_EQ(weak, Weak<Node>());
  }
  EXPECT_EQ(moved.Lock(), node);
  EXPECT_EQ(WeakCount(Ref<Node>()), 0u);
  EXPECT_EQ(CallbackCount(Ref<Node>()), 0u);
  EXPECT_FALSE(WeakFunction(Ref<Node>(), &Node::Twice)(1));
}

TEST_F(WrongCallsTest, EmptyAndMovedFromCallbacks) {
  int calls = 0;
  Ref<Node> node = MakeNode();
  WeakCallback<Node> full(node, [&calls] { ++calls; });
  WeakCallback<Node> moved = std::move(full);
  for (WeakCallback<Node>* each : {&full}) {  // NOLINT(bugprone-use-after-move)
    EXPECT_FALSE(*each);
    EXPECT_FALSE(each->Lock());
    each->Cancel();
    each->Cancel();
  }
  WeakCallback<Node>& same = moved;
  moved = std::move(same);
  EXPECT_TRUE(moved);
  node.Reset();
  EXPECT_EQ(calls, 1);
  moved.Cancel();
  moved.Cancel();
  EXPECT_FALSE(moved);
}

TEST_F(WrongCallsTest, CallbackWithoutAFunction) {
  Ref<Node> node = MakeNode();
  if (REEF_IS_CHECKED) {
    EXPECT_DEATH(WeakCallback<Node>(node, nullptr), "reef: a WeakCallback without a function");
    EXPECT_DEATH(WeakCallback<Node>(node, nullptr), "hint: .*use reef::Weak");
    return;
  }
  const UnraisableHook former =
      SetUnraisableHook([](const Unraisable&) { FAIL() << "something was called"; });
  const WeakCallback<Node> callback(node, nullptr);
  EXPECT_EQ(callback.Lock(), node);
  node.Reset();
  EXPECT_FALSE(callback.Lock());
  (void)SetUnraisableHook(former);
}

TEST_F(WrongCallsTest, CallbackThatEndsItself) {
  std::optional<WeakCallback<Node>> callback;
  int calls = 0;
  Ref<Node> node = MakeNode();
  callback.emplace(node, [&] {
    ++calls;
    callback->Cancel();
    callback.reset();
  });
  node.Reset();
  EXPECT_EQ(calls, 1);
}

TEST_F(WrongCallsTest, FinalizerWithoutAFunction) {
  const Ref<Node> node = MakeNode();
  if (REEF_IS_CHECKED) {
    EXPECT_DEATH(Finalizer(node, nullptr), "reef: a Finalizer without a function");
    return;
  }
  Finalizer finalizer(node, nullptr);
  EXPECT_FALSE(finalizer.alive());
  EXPECT_FALSE(finalizer());
  EXPECT_EQ(WeakCount(node), 0u);
}

TEST_F(WrongCallsTest, FinalizersThatAreNotAlive) {
  Ref<Node> node = MakeNode();
  int calls = 0;
  Finalizer detached(node, [&calls] { ++calls; });
  Finalizer moved(node, [&calls] { ++calls; });
  const Finalizer holder = std::move(moved);
  (void)detached.Detach();
  Finalizer empty;
  for (Finalizer* each : {&detached, &empty, &moved}) {  // NOLINT(bugprone-use-after-move)
    EXPECT_FALSE(each->alive());
    EXPECT_FALSE((*each)());
    EXPECT_FALSE(each->Detach());
    EXPECT_FALSE(each->Peek());
    each->set_at_exit(true);
    EXPECT_FALSE(each->at_exit());
  }
  node.Reset();
  EXPECT_EQ(calls, 1) << "that of the handle that was moved";
}

TEST_F(WrongCallsTest, FinalizerThatCallsItself) {
  const Ref<Node> node = MakeNode();
  Finalizer finalizer;
  int calls = 0;
  finalizer = Finalizer(node, [&] {
    ++calls;
    EXPECT_FALSE(finalizer.alive());
    EXPECT_FALSE(finalizer());
    EXPECT_FALSE(finalizer.Detach());
  });
  EXPECT_TRUE(finalizer());
  EXPECT_EQ(calls, 1);
}

TEST_F(WrongCallsTest, FinalizersOfNothing) {
  EXPECT_FALSE(IsFinalized(Ref<Finalizable>()));
  RearmFinalizer(Ref<Finalizable>());
  int finalized = 0;
  Ref<Finalizable> object = heap_->Make<Finalizable>(&finalized);
  RearmFinalizer(object);  // it has yet to run
  object.Reset();
  EXPECT_EQ(finalized, 1);
}

TEST_F(WrongCallsTest, QueueDrainedByOneOfItsTasks) {
  FinalizerQueue queue;
  HeapOptions options = test::QuietOptions();
  options.finalizer_executor = queue.Executor();
  auto heap = test::NewHeap(options);
  Ref<Node> one = heap->Make<Node>();
  Ref<Node> two = heap->Make<Node>();
  int calls = 0;
  size_t inner = 0;
  const WeakCallback<Node> first(one, [&] {
    ++calls;
    two.Reset();
    inner = queue.Drain();
  });
  const WeakCallback<Node> second(two, [&] { ++calls; });
  EXPECT_EQ(queue.Drain(), 0u);
  one.Reset();
  EXPECT_EQ(queue.Drain(), 1u);
  EXPECT_EQ(inner, 1u);
  EXPECT_EQ(calls, 2);
}

TEST_F(WrongCallsTest, NullHookIsTheDefault) {
  const UnraisableHook first = SetUnraisableHook(nullptr);
  EXPECT_EQ(SetUnraisableHook(first), nullptr);
  Ref<Node> node = MakeNode();
  const WeakCallback<Node> callback(node, [] { throw std::runtime_error("nobody's"); });
  (void)SetUnraisableHook(nullptr);
  testing::internal::CaptureStderr();
  node.Reset();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("nobody's"), std::string::npos);
  (void)SetUnraisableHook(first);
}

TEST_F(WrongCallsTest, NullInAtomicCells) {
  AtomicRef<Node> root;
  const Ref<Node> node = MakeNode();
  Ref<Node> moved = node;
  root.Store(Ref<Node>(std::move(moved)));
  root.Store(std::move(moved));  // NOLINT(bugprone-use-after-move): empty
  EXPECT_FALSE(root.Load());
  Ref<Node> expected = node;
  EXPECT_FALSE(root.CompareExchange(expected, node));
  EXPECT_FALSE(expected);
  EXPECT_TRUE(root.CompareExchange(expected, node));
  const ReadScope scope;
  EXPECT_FALSE(TryRef<Node>(scope, nullptr));
  Node* seen = nullptr;
  EXPECT_FALSE(root.CompareExchange(scope, seen, nullptr));
  EXPECT_EQ(seen, node.get());
  EXPECT_THROW((void)heap_->Collect(), CollectRefused);
}

TEST_F(WrongCallsTest, EmptyAndMovedFromAtomicWeaks) {
  AtomicWeak<Node> cell;
  const Ref<Node> node = MakeNode();
  Weak<Node> moved = node;
  const Weak<Node> holder = std::move(moved);
  cell.Store(holder);
  cell.Store(std::move(moved));  // NOLINT(bugprone-use-after-move): empty
  EXPECT_EQ(cell.Load(), Weak<Node>());
  EXPECT_FALSE(cell.Lock());
  EXPECT_EQ(cell.Exchange(Weak<Node>()), Weak<Node>());
}

#if REEF_IS_CHECKED

struct Part {
  int value = 0;
};

TEST_F(WrongCallsTest, WeakToWhatIsNotManaged) {
  Part local;
  EXPECT_DEATH((void)WeakTo(&local), "reef: a Weak to something that is not a managed object");
  struct Eager {
    Eager() : self(WeakTo(this)) {}
    Weak<Eager> self;
    void Trace(Visitor&) const {}
  };
  EXPECT_DEATH((void)heap_->Make<Eager>(), "reef: a Weak to an object that is being constructed");
}

#endif  // REEF_IS_CHECKED

// --- what the program's own functions throw inside a container ---

struct Moody {
  std::string name;
  bool operator==(const Moody& other) const {
    if (name == "unequal" || other.name == "unequal") throw std::runtime_error("equal");
    return name == other.name;
  }
};
struct MoodyHash {
  size_t operator()(const Moody& key) const {
    if (key.name == "unhashed") throw std::runtime_error("hash");
    return 1;  // all in one bucket, so that keys are compared
  }
};

TEST_F(WrongCallsTest, ThrowingHashAndEqualChangeNothing) {
  WeakValueMap<Moody, Node, MoodyHash> map;
  const Ref<Node> node = MakeNode();
  const Ref<Node> other = MakeNode();
  map.Set({"kept"}, node);
  for (const char* name : {"unhashed", "unequal"}) {
    const Moody key{name};
    EXPECT_THROW(map.Set(key, other), std::runtime_error);
    EXPECT_THROW((void)map.Find(key), std::runtime_error);
    EXPECT_THROW((void)map.FindOrMake(key, [&] { return other; }), std::runtime_error);
    EXPECT_THROW((void)map.Erase(key), std::runtime_error);
  }
  EXPECT_EQ(map.size(), 1u);
  EXPECT_EQ(map.Find({"kept"}), node);
  EXPECT_EQ(WeakCount(other), 0u);
  EXPECT_EQ(RefCount(other), 2);
}

}  // namespace
}  // namespace reef
