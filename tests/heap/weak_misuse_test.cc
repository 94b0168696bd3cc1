// What a wrong call gets, by the headers of weak handles, atomic cells and scopes: where it is
// diagnosed in every build, where in checked builds, and what is allowed that looks wrong.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "lib/os/chaos.h"
#include "reef/internal/weak_cell.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Eventually;
using test::Life;
using test::Lives;

struct First {
  int64_t one = 1;
};
struct Second {
  int64_t two = 2;
};
struct Both : First, Second {
  void Trace(Visitor& v) const { v.Visit(other); }
  Member<Both> other;
};

struct Link {
  explicit Link(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, plain); }
  Life life;
  AtomicMarkedMember<Link> next;
  AtomicMember<Link> plain;
};

class WeakMisuseTest : public test::QuietHeapTest {};

TEST_F(WeakMisuseTest, HandleToABaseAtAnOffset) {
  const Ref<Both> both = heap_->Make<Both>();
  both->other = heap_->Make<Both>();
  EXPECT_EQ(Weak<First>(both).Lock()->one, 1);
  EXPECT_DEATH(Weak<Second>{both},
               "reef: a handle was converted to a base class at a non-zero offset");
  EXPECT_DEATH(Weak<Second>{both->other}, "hint: make that base the first one");
  // Nothing is wrong with nothing.
  EXPECT_EQ(Weak<Second>(Ref<Both>()), Weak<Second>());
}

// What its constructor has handed out, weakly, when it throws.
struct Escaping {
  explicit Escaping(AtomicWeak<Escaping>* place) {
    place->Store(WeakTo(this));
    EXPECT_TRUE(place->Lock());
    throw std::runtime_error("not made");
  }
};

TEST_F(WeakMisuseTest, HandleMadeByALeafsConstructorThatThrows) {
  AtomicWeak<Escaping> place;
  for (int i = 0; i < 100; ++i) {
    EXPECT_THROW((void)heap_->Make<Escaping>(&place), std::runtime_error);
    EXPECT_FALSE(place.Lock());
  }
  (void)heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

#if defined(REEF_CHAOS) && REEF_CHAOS

AtomicWeak<Escaping>* g_place = nullptr;
Ref<Escaping> g_kept;
bool g_keep = false;

// Once, on a thread of its own, where the object has been judged and is not dead yet.
void LockBetween(const char* name) {
  if (std::string_view(name) != "unborn object judged, not dead" || g_place == nullptr) return;
  AtomicWeak<Escaping>* place = std::exchange(g_place, nullptr);
  std::thread([place] {
    g_kept = place->Lock();
    EXPECT_TRUE(g_kept);
    if (!g_keep) g_kept.Reset();
  }).join();
}

TEST_F(WeakMisuseTest, LockThatComesBeforeTheUnbornObjectIsDead) {
  AtomicWeak<Escaping> place;
  os::SetChaosHook(&LockBetween);
  g_place = &place;
  g_keep = false;
  EXPECT_THROW((void)heap_->Make<Escaping>(&place), std::runtime_error);
  EXPECT_EQ(g_place, nullptr) << "nobody came by";
  EXPECT_FALSE(place.Lock());
  g_keep = true;
  g_place = &place;
  EXPECT_DEATH((void)heap_->Make<Escaping>(&place),
               "a constructor threw after it had handed out a reference to its object");
  g_place = nullptr;
  os::SetChaosHook(nullptr);
}

#endif

TEST_F(WeakMisuseTest, MoreHandlesThanCanBeCounted) {
  using internal::WeakCell;
  const uint64_t cells = DefaultHeap().Stats().raw_blocks;
  Ref<Both> both = heap_->Make<Both>();
  Weak<Both> first = both;
  // The object's own handle on the cell, this one, and many that are not there.
  WeakCell* cell = internal::AcquireCell(both.get());
  cell->owners.store(WeakCell::kFull - 1);
  {
    Weak<Both> last = first;
    EXPECT_EQ(cell->owners.load(), WeakCell::kFull);
    EXPECT_EQ(last.Lock(), both);
    last.Reset();
  }
  Weak<Both>(first).Reset();
  EXPECT_GE(cell->owners.load(), WeakCell::kFull) << "a full count is not lowered";
  cell->owners.store(WeakCell::kMost);
  Weak<Both>(first).Reset();
  EXPECT_EQ(cell->owners.load(), WeakCell::kMost) << "nor raised without end";
  EXPECT_GE(WeakCount(both), WeakCell::kFull);
  both.Reset();
  EXPECT_FALSE(first.Lock());
  first.Reset();
  EXPECT_EQ(cell->target.load(), nullptr);
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, cells + 1) << "it stays for ever";
  cell->owners.store(1);
  internal::ReleaseCell(cell);
  EXPECT_EQ(DefaultHeap().Stats().raw_blocks, cells);
}

// A scope that its thread never ends. (Reachable: nobody is to call it a leak.)
ReadScope* g_left_open = nullptr;

TEST_F(WeakMisuseTest, ThreadThatEndsInsideAScope) {
  const auto end_inside = [] { std::thread([] { g_left_open = new ReadScope; }).join(); };
  if (REEF_IS_CHECKED) {
    EXPECT_DEATH(end_inside(), "reef: a thread ended inside a ReadScope.*keep none on the free");
    return;
  }
  for (int i = 0; i < 10; ++i) {
    void* scope = nullptr;
    end_inside();
    std::swap(scope, reinterpret_cast<void*&>(g_left_open));
    std::thread([&] {
      AtomicRef<Link> cell(heap_->Make<Link>(lives_));
      cell.Store(nullptr);
      EXPECT_TRUE(heap_->TryCollect().ok()) << "the next thread found itself in a scope";
    }).join();
    EXPECT_TRUE(Eventually([&] { return lives_.now() == 0; })) << "no grace period passes";
    ::operator delete(scope);
  }
}

#if !REEF_IS_CHECKED

TEST_F(WeakMisuseTest, UpperBitsOfMarksAreDropped) {
  const Ref<Link> link = heap_->Make<Link>(lives_);
  AtomicMarkedMember<Link>& edge = link->next;
  const Ref<Link> target = heap_->Make<Link>(lives_);
  edge.Store(target, 5);
  EXPECT_EQ(edge.Load(), (MarkedRef<Link>{target, 1}));
  EXPECT_EQ(edge.Exchange(target, 14), (MarkedRef<Link>{target, 1}));
  EXPECT_EQ(edge.Load().mark, 2u);
  MarkedRef<Link> counted{target, 6};
  EXPECT_TRUE(edge.CompareExchange(counted, target, 7));
  const ReadScope scope;
  Marked<Link> seen{target.get(), 3 + 8};
  EXPECT_TRUE(edge.CompareExchange(scope, seen, target, 4));
  seen = {target.get(), 4};
  EXPECT_TRUE(edge.CompareExchangeMark(scope, seen, 9));
  EXPECT_EQ(edge.Peek(scope), (Marked<Link>{target.get(), 1}));
}

#else

TEST_F(WeakMisuseTest, MarksOfMoreThanTwoBits) {
  const char* const message = "reef: a mark of more than two bits";
  const Ref<Link> link = heap_->Make<Link>(lives_);
  AtomicMarkedMember<Link>& edge = link->next;
  EXPECT_DEATH(edge.Store(nullptr, 4), message);
  EXPECT_DEATH((void)edge.Exchange(nullptr, 4), message);
  EXPECT_DEATH(AtomicMarkedMember<Link>(nullptr, 4), message);
  MarkedRef<Link> counted;
  EXPECT_DEATH((void)edge.CompareExchange(counted, nullptr, 4), message);
  counted.mark = 4;
  EXPECT_DEATH((void)edge.CompareExchange(counted, nullptr), message);
  const ReadScope scope;
  Marked<Link> seen;
  EXPECT_DEATH((void)edge.CompareExchange(scope, seen, nullptr, 4), message);
  EXPECT_DEATH((void)edge.CompareExchangeMark(scope, seen, 8), "the marks 0 to 3");
  seen.mark = 4;
  EXPECT_DEATH((void)edge.CompareExchange(scope, seen, nullptr), message);
  EXPECT_DEATH((void)edge.CompareExchangeMark(scope, seen, 0), message);
}

TEST_F(WeakMisuseTest, MarkedEdgesWhereTheyMustNotBe) {
  const Ref<Link> link = heap_->Make<Link>(lives_);
  AtomicMarkedMember<Link> local;
  const char* const outside = "reef: an edge .* outside a managed object";
  EXPECT_DEATH(local.Store(link), outside);
  EXPECT_DEATH((void)local.Exchange(link, 1), outside);
  EXPECT_DEATH(AtomicMarkedMember<Link>{link}, outside);
  MarkedRef<Link> expected;
  EXPECT_DEATH((void)local.CompareExchange(expected, link), outside);
  const auto other = test::NewHeap();
  Lives lives;
  const Ref<Link> far = other->Make<Link>(lives);
  EXPECT_DEATH(link->next.Store(far), "reef: an edge across heaps");
  EXPECT_DEATH((void)link->plain.Exchange(far), "reef: an edge across heaps");
  Ref<Link> none;
  EXPECT_DEATH((void)link->plain.CompareExchange(none, far), "reef: an edge across heaps");
}

TEST_F(WeakMisuseTest, HandleToWhatIsNoWholeObject) {
  const char* const part = "reef: a Weak to .*a part of an object";
  const Ref<Both> both = heap_->Make<Both>();
  Second* second = both.get();
  EXPECT_DEATH((void)WeakTo(second), part);
  EXPECT_DEATH((void)WeakTo(&second->two), part);
  void* bytes = heap_->Allocate(200);
  for (const size_t offset : {size_t{0}, size_t{16}, size_t{64}}) {
    EXPECT_DEATH((void)WeakTo(reinterpret_cast<First*>(static_cast<char*>(bytes) + offset)), part);
  }
  heap_->Deallocate(bytes);
  struct Huge {
    char bytes[20'000'000];
  };
  const Ref<Huge> huge = heap_->Make<Huge>();
  EXPECT_EQ(WeakTo(huge.get()).Lock(), huge);
  EXPECT_DEATH((void)WeakTo(&huge->bytes[15'000'000]), part);
  struct alignas(4096) Aligned {
    char bytes[100];
  };
  const Ref<Aligned> aligned = heap_->Make<Aligned>();
  EXPECT_EQ(WeakTo(aligned.get()).Lock(), aligned);
  EXPECT_DEATH((void)WeakTo(&aligned->bytes[16]), part);
}

#endif  // !REEF_IS_CHECKED

#if !REEF_IS_CHECKED
// To ask for the handles of an object in its own destructor, where checked builds diagnose the
// Ref: it has none any more.
TEST_F(WeakMisuseTest, HandlesOfADyingObject) {
  struct Session {
    Session(Lives& lives, WeakSet<Session>* in) : life(lives), sessions(in) {}
    ~Session() {
      const Ref<Session> self = RefTo(this);
      EXPECT_FALSE(sessions->Contains(self));
      EXPECT_FALSE(sessions->Erase(self));
      EXPECT_EQ(WeakCount(self), 0u);
      EXPECT_EQ(CallbackCount(self), 0u);
    }
    Life life;
    WeakSet<Session>* sessions;
  };
  WeakSet<Session> sessions;
  Ref<Session> session = heap_->Make<Session>(lives_, &sessions);
  EXPECT_TRUE(sessions.Insert(session));
  session.Reset();
  EXPECT_EQ(lives_.now(), 0);
}
#endif

}  // namespace
}  // namespace reef
