// Each diagnosed misuse ends the process with a message that says what, where, and what to do
// instead. Some are diagnosed in every build, the others in checked builds.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

struct Item {
  int64_t value = 5;
};
struct Node {
  void Trace(Visitor& v) const { v.Visit(item, items, shared); }
  Member<Item> item;
  Vector<Item> items;
  AtomicMember<Item> shared;
};

// The second base of Both begins behind the first.
struct First {
  int64_t one = 1;
};
struct Second {
  int64_t two = 2;
};
struct Both : First, Second {};

// A base without virtual functions of a type that has some lies behind the table pointer.
struct Plain {
  int64_t value = 3;
};
struct Virtual : Plain {
  virtual ~Virtual() = default;
};

using MisuseDeathTest = ::testing::Test;

TEST_F(MisuseDeathTest, RefConvertedToABaseAtAnOffset) {
  const Ref<Both> both = Make<Both>();
  const Ref<First> first = both;
  EXPECT_EQ(first->one, 1);
  EXPECT_DEATH(Ref<Second>{both},
               "reef: a handle was converted to a base class at a non-zero offset");
  EXPECT_DEATH(Ref<Second>{Ref<Both>(both)}, "hint: make that base the first one");
  // Nothing is wrong with nothing.
  EXPECT_EQ(Ref<Second>(Ref<Both>()), nullptr);
}

TEST_F(MisuseDeathTest, RefConvertedToABaseBehindATablePointer) {
  const Ref<Virtual> object = Make<Virtual>();
  EXPECT_EQ(object->value, 3);
  EXPECT_DEATH(Ref<Plain>{object}, "base class at a non-zero offset");
}

TEST_F(MisuseDeathTest, MemberOfABaseAtAnOffset) {
  struct Holder {
    void Trace(Visitor& v) const { v.Visit(second); }
    Member<Second> second;
  };
  const Ref<Holder> holder = Make<Holder>();
  const Ref<Both> both = Make<Both>();
  EXPECT_DEATH(holder->second = both, "base class at a non-zero offset");
  EXPECT_DEATH(holder->second = Ref<Both>(both), "base class at a non-zero offset");
}

TEST_F(MisuseDeathTest, StaticRefCastAtAnOffset) {
  const Ref<Both> both = Make<Both>();
  EXPECT_DEATH((void)StaticRefCast<Second>(both),
               "reef: StaticRefCast to a type at a non-zero offset.*keep the base first");
  EXPECT_EQ(StaticRefCast<Both>(StaticRefCast<First>(both)), both);
}

// A leaf, which is whole to the engine from its birth on.
struct Escaping {
  explicit Escaping(Ref<Escaping>* place) {
    *place = RefTo(this);
    throw std::runtime_error("not made");
  }
};

TEST_F(MisuseDeathTest, ConstructorThatThrowsAfterItHandedOutAReference) {
  const char* const message =
      "reef: a constructor threw after it had handed out a reference to its object\n"
      "  object: .*(Escaping|Published) at 0x";
  EXPECT_DEATH(
      {
        static Ref<Escaping> kept;
        (void)Make<Escaping>(&kept);
      },
      message);
  // Also where it was published and taken back: a thread may just be reading it.
  struct Published {
    Published() {
      AtomicRef<Published> place(RefTo(this));
      place.Store(nullptr);
      throw std::runtime_error("not made");
    }
  };
  EXPECT_DEATH((void)Make<Published>(), message);
  // Nothing is wrong with one that is gone.
  struct Looking {
    Looking() {
      const Ref<Looking> self = RefTo(this);
      throw std::runtime_error("not made");
    }
  };
  EXPECT_THROW((void)Make<Looking>(), std::runtime_error);
}

TEST_F(MisuseDeathTest, DeallocateOfAForeignPointer) {
  const std::unique_ptr<Heap> heap = test::NewHeap();
  const std::unique_ptr<Heap> other = test::NewHeap();
  int local = 0;
  EXPECT_DEATH(heap->Deallocate(&local), "reef: .*hint: ");
  const std::unique_ptr<int> from_new = std::make_unique<int>(1);
  EXPECT_DEATH(heap->Deallocate(from_new.get()), "reef: ");
  void* block = other->Allocate(100);
  EXPECT_DEATH(heap->Deallocate(block), "reef: ");
  other->Deallocate(block);
  const Ref<Item> item = heap->Make<Item>();
  EXPECT_DEATH(heap->Deallocate(item.get()), "reef: ");
#if REEF_IS_CHECKED
  char* inside = static_cast<char*>(heap->Allocate(100));
  EXPECT_DEATH(heap->Deallocate(inside + 8), "reef: ");
  heap->Deallocate(inside);
#endif
}

TEST_F(MisuseDeathTest, AllocateWithAnAlignmentThatIsNone) {
  for (const size_t alignment : {size_t{0}, size_t{24}, size_t{1} << 17}) {
    EXPECT_DEATH((void)DefaultHeap().Allocate(100, alignment),
                 "reef: Heap::Allocate with an alignment .*hint: pass a power of two");
  }
}

TEST_F(MisuseDeathTest, HeapDestroyedWhereACollectionCannotBeWaitedFor) {
  const char* const message = "reef: a Heap was destroyed where a collection cannot be waited for";
  EXPECT_DEATH(
      {
        std::unique_ptr<Heap> heap = test::NewHeap();
        const ReadScope scope;
        heap.reset();
      },
      message);
  struct Keeper {
    ~Keeper() { heap.reset(); }
    std::unique_ptr<Heap> heap = test::NewHeap();
  };
  EXPECT_DEATH((void)Make<Keeper>(), message);
}

TEST_F(MisuseDeathTest, VectorOutsideAManagedObject) {
  const Ref<Item> item = Make<Item>();
  Vector<Item> items;
  EXPECT_DEATH(items.push_back(item), "outside a managed object");
  EXPECT_DEATH(items.reserve(4), "outside a managed object");
}

TEST_F(MisuseDeathTest, TraceThatThrows) {
  struct Thrower {
    void Trace(Visitor&) const { throw std::runtime_error("not traced"); }
  };
  for (const int markers : {1, 3}) {
    HeapOptions options = test::QuietOptions();
    options.marker_threads = markers;
    const std::unique_ptr<Heap> heap = test::NewHeap(options);
    Ref<Thrower> thrower = heap->Make<Thrower>();
    EXPECT_DEATH((void)heap->Collect(), "terminate called.*") << markers;
    thrower.Reset();
  }
}

TEST_F(MisuseDeathTest, MessageNamesThePlace) {
  const Ref<Both> both = Make<Both>();
  EXPECT_DEATH(Ref<Second>{both}, "ref\\.h:[0-9]+");
}

#if REEF_IS_CHECKED

TEST_F(MisuseDeathTest, EdgeAcrossHeaps) {
  const std::unique_ptr<Heap> one = test::NewHeap();
  const std::unique_ptr<Heap> two = test::NewHeap();
  const Ref<Node> node = one->Make<Node>();
  const Ref<Item> item = two->Make<Item>();
  EXPECT_DEATH(node->item = item, "reef: an edge across heaps.*object: .*Node at 0x");
  EXPECT_DEATH(node->items.push_back(item), "reef: an edge across heaps");
  EXPECT_DEATH(node->shared.Store(item), "reef: an edge across heaps");
}

TEST_F(MisuseDeathTest, EdgeOutsideAManagedObject) {
  const Ref<Item> item = Make<Item>();
  EXPECT_DEATH(Member<Item>{item}, "reef: an edge .* outside a managed object.*reef::Ref");
  Member<Item> local;
  EXPECT_DEATH(local = item, "outside a managed object");
  AtomicMember<Item> atomic;
  EXPECT_DEATH(atomic.Store(item), "outside a managed object");
  Vector<Item> items;
  EXPECT_DEATH(items.push_back(item), "outside a managed object");
  const auto from_new = std::make_unique<Node>();
  EXPECT_DEATH(from_new->item = item, "outside a managed object");
}

TEST_F(MisuseDeathTest, EdgeInRawBytes) {
  const Ref<Item> item = Make<Item>();
  void* bytes = DefaultHeap().Allocate(sizeof(Node));
  Node* node = new (bytes) Node;
  EXPECT_DEATH(node->item = item, "reef: an edge .* in raw bytes");
  node->~Node();
  DefaultHeap().Deallocate(bytes);
}

TEST_F(MisuseDeathTest, EdgeInATypeWithoutTrace) {
  struct Forgetful {
    Member<Item> item;
    Vector<Item> items;
  };
  const Ref<Item> item = Make<Item>();
  const Ref<Forgetful> forgetful = Make<Forgetful>();
  EXPECT_DEATH(forgetful->item = item,
               "reef: an edge in an object whose type has no Trace.*object: .*Forgetful at 0x");
  EXPECT_DEATH(forgetful->items.push_back(item), "type has no Trace");
}

TEST_F(MisuseDeathTest, VectorIndexOutOfRange) {
  const Ref<Node> node = Make<Node>();
  Vector<Item>& items = node->items;
  const Vector<Item>& constant = items;
  EXPECT_DEATH((void)items[0], "reef: reef::Vector index out of range");
  EXPECT_DEATH((void)items.front(), "index out of range");
  EXPECT_DEATH((void)items.back(), "index out of range");
  EXPECT_DEATH(items.pop_back(), "index out of range");
  EXPECT_DEATH(items.swap_remove(0), "index out of range");
  items.push_back(Make<Item>());
  EXPECT_EQ(items[0]->value, 5);
  EXPECT_DEATH((void)items[1], "index out of range");
  EXPECT_DEATH((void)constant[1], "index out of range");
  EXPECT_DEATH(items.swap_remove(1), "check size\\(\\) first");
}

TEST_F(MisuseDeathTest, RefToSomethingThatIsNotManaged) {
  Item local;
  EXPECT_DEATH((void)RefTo(&local), "reef: a Ref to something that is not a managed object");
  const Ref<Both> both = Make<Both>();
  EXPECT_DEATH((void)RefTo(static_cast<Second*>(both.get())), "reef: ");
}

TEST_F(MisuseDeathTest, RefToItselfInAConstructor) {
  struct Eager {
    Eager() { (void)RefTo(this); }
  };
  struct EagerNode {
    EagerNode() { (void)RefTo(this); }
    void Trace(Visitor& v) const { v.Visit(item); }
    Member<Item> item;
  };
  EXPECT_DEATH((void)Make<EagerNode>(),
               "reef: a Ref to an object that is being constructed.*object: .*EagerNode at 0x");
  // A leaf is LIVE from its birth on: nobody traces it, and its reference is counted.
  const Ref<Eager> leaf = Make<Eager>();
  EXPECT_EQ(RefCount(leaf), 2) << "this one and the argument";
}

TEST_F(MisuseDeathTest, DestructorThatStoresItself) {
  static Ref<Item> rescued;
  struct Clinging : Item {
    ~Clinging() { rescued = RefTo<Item>(this); }
  };
  EXPECT_DEATH((void)Make<Clinging>(), "reef: .*destroyed");
}

TEST_F(MisuseDeathTest, RefInsideAManagedObjectIsReportedAndWorks) {
  struct Rooted {
    Ref<Item> item;
  };
  const auto child = [] {
    Ref<Rooted> rooted = Make<Rooted>();
    rooted->item = Make<Item>();
    std::exit(RefCount(rooted->item) == 2 ? 0 : 1);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0),
              "reef: warning: a reef::Ref inside a managed object.*object: .*Rooted at 0x.*"
              "use reef::Member");
}

TEST_F(MisuseDeathTest, AtomicRefInsideAManagedObjectIsReportedAndWorks) {
  struct Rooted {
    AtomicRef<Item> item;
  };
  const auto child = [] {
    const Ref<Rooted> rooted = Make<Rooted>();
    rooted->item.Store(Make<Item>());
    std::exit(rooted->item.Load() != nullptr ? 0 : 1);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0),
              "reef: warning: a reef::Ref inside a managed object.*object: .*Rooted at 0x.*"
              "reef::AtomicMember");
}

TEST_F(MisuseDeathTest, ScopeEndedOnAnotherThread) {
  const auto end_elsewhere = [] {
    auto scope = std::make_unique<ReadScope>();
    std::thread([&] {
      (void)Make<Item>();  // a thread that uses heaps itself
      scope.reset();
    }).join();
  };
  EXPECT_DEATH(end_elsewhere(), "reef: a ReadScope ends on another thread than it began on");
}

#endif  // REEF_IS_CHECKED

}  // namespace
}  // namespace reef
