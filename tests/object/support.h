// What the suites about objects share: objects of a heap that has no collector, and their counts.
#ifndef REEF_TESTS_OBJECT_SUPPORT_H_
#define REEF_TESTS_OBJECT_SUPPORT_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <ostream>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/heap_table.h"
#include "lib/memory/space.h"
#include "lib/memory/thread_cache.h"
#include "lib/object/dying.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/threads/log.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/count.h"
#include "reef/internal/edge.h"
#include "reef/internal/make.h"
#include "reef/internal/slab.h"
#include "reef/member.h"
#include "reef/trace.h"
#include "tests/threads/support.h"

namespace reef::object::test {

using internal::Bracket;
using internal::CurrentSlot;
using internal::HeapCore;
using internal::Kind;
using internal::Mode;
using internal::SlabKind;
using internal::Stage;
using threads::test::Actor;
using threads::test::Armed;
using threads::test::Gate;
using threads::test::kScale;

// A traced object. Counts its end where it was told to.
struct Node {
  explicit Node(std::atomic<int>* count = nullptr) : ends(count) {}
  ~Node() {
    if (ends != nullptr) ends->fetch_add(1, std::memory_order_relaxed);
  }
  void Trace(Visitor& visitor) const { visitor.Visit(next, other); }

  Member<Node> next;
  Member<Node> other;
  std::atomic<int>* ends;
};

// A leaf that dies by its header alone.
struct Number {
  int64_t value = 0;
};

// The four fields of a count, and the flags.
struct Counts {
  int64_t ext = 0;
  int64_t heap = 0;
  int64_t shared_ext = 0;
  int64_t shared_heap = 0;
  uint64_t flags = 0;

  static Counts Of(const void* payload) {
    const Header* header = Header::Of(payload);
    const uint32_t local = header->Local(std::memory_order_acquire);
    const uint64_t word = header->Shared(std::memory_order_acquire);
    return {internal::LocalExtOf(local), internal::LocalHeapOf(local), internal::SharedExt(word),
            internal::SharedHeap(word), word & internal::kFlags};
  }
  bool operator==(const Counts&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Counts& c) {
    return out << "local " << c.ext << "+" << c.heap << " shared " << c.shared_ext << "+"
               << c.shared_heap << " flags " << std::hex << (c.flags >> 56) << std::dec;
  }
};

inline internal::Owner OwnerOf(const void* payload) {
  return internal::OwnerOf(Header::Of(payload)->Local(std::memory_order_acquire));
}
inline Stage StageOf(const void* payload) { return Header::Of(payload)->GetStage(); }

inline void AddRoot(void* payload) { Increment(CurrentSlot(), Header::Of(payload), Kind::kExt); }
inline void AddEdge(void* payload) { Increment(CurrentSlot(), Header::Of(payload), Kind::kHeap); }
inline void DropRoot(void* payload) { internal::DropExt(Header::Of(payload)); }
inline void DropEdge(void* payload) {
  Header* due = nullptr;
  {
    const Bracket bracket(CurrentSlot());
    due = internal::DropHeap(bracket, Header::Of(payload));
  }
  if (due != nullptr) internal::Die(CurrentSlot(), due);
}
inline void RootToEdge(void* payload) {
  Header* due = nullptr;
  {
    const Bracket bracket(CurrentSlot());
    due = internal::ConvertToHeap(bracket, Header::Of(payload));
  }
  if (due != nullptr) internal::Die(CurrentSlot(), due);
}
// Settles all that is pending in any slot. False when nothing is left.
inline bool Settle() { return RevokeAllPending(CurrentSlot()); }

// A heap without a collector. Objects that a test leaves behind go with it.
class ObjectTest : public testing::Test {
 protected:
  ObjectTest() {
    EXPECT_NE(memory::EnterHeap(&core_), 0u);
    space_ = memory::Space::Create(&core_, {.reserve_bytes = uint64_t{256} << 20});
    EXPECT_NE(space_, nullptr);
    core_.birth.store((uint64_t{1} << internal::kColourShift) |
                      (uint64_t{1} << internal::kStageShift));
    // What the tests before have taught the type is none of this one's business.
    internal::TypeInfo& info = internal::TypeOf<Node>::info;
    (void)internal::RegisterType(&info);
    info.birth.fetch_and(~internal::kBornUnbiased);
    info.home_deaths.store(0);
    info.away_deaths.store(0);
  }
  ~ObjectTest() override {
    while (Settle()) {
    }
    while (ReclaimRetired(CurrentSlot())) {
    }
    threads::ForEachSlot([this](Slot& slot) { memory::DropCache(&slot, space_.get()); });
    memory::RemoveHeap(&core_);
  }

  // An object with one root, made by the calling thread.
  template <typename T, typename... Args>
  T* Make(Args&&... args) {
    constexpr bool kTraced = internal::HasTrace<T>;
    constexpr SlabKind kKind = internal::ObjectKind(kTraced, alignof(T));
    constexpr int kClass = internal::ClassFor(kKind, sizeof(T), alignof(T));
    Slot* slot = CurrentSlot();
    void* block = internal::PopBlock(slot->caches[core_.index], kKind, kClass);
    if (block == nullptr) block = memory::Refill(slot, space_.get(), kKind, kClass);
    if (block == nullptr) std::abort();
    internal::UnpoisonBlock(block);
    auto* header = static_cast<Header*>(block);
    internal::BearHeader(slot, &core_, header, &internal::TypeOf<T>::info, kTraced);
    T* object = ::new (header->Payload()) T(std::forward<Args>(args)...);
    if (kTraced) header->SetStage(Stage::kLive);
    return object;
  }

  uint64_t UsedBlocks() const {
    uint64_t used = 0;
    space_->ForEachSlab(
        [&used](const internal::Slab& slab) { used += memory::Space::UsedBlocks(slab); });
    return used;
  }

  HeapCore core_;
  std::unique_ptr<memory::Space> space_;
  std::atomic<int> ends_{0};
};

// What the log of the thread holds, as payloads.
inline std::vector<void*> TakeLogged(Slot* slot) {
  std::vector<void*> payloads;
  (void)threads::TakeLog(
      *slot, [&](Header* header, bool /*revival*/) { payloads.push_back(header->Payload()); });
  return payloads;
}

}  // namespace reef::object::test

#endif  // REEF_TESTS_OBJECT_SUPPORT_H_
