#include "lib/object/finalizer.h"

#include <utility>

#include "lib/object/subject.h"
#include "lib/object/weak.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"
#include "reef/internal/count.h"
#include "reef/internal/finalizer_task.h"
#include "reef/internal/slab.h"
#include "reef/internal/type_info.h"

namespace reef::object {
namespace {

using internal::kDead;
using internal::kFinalizable;
using internal::kSharedExt;

// Of the lists of threads that a fork has cut off. Written where there is one thread, then by the
// collector thread, which that one has started.
Header* g_lost_finalizers = nullptr;

const FinalizerExecutor* ExecutorOf(const internal::HeapCore* core) {
  return static_cast<const FinalizerExecutor*>(core->finalizer_executor);
}

// A finalizer that has re-armed an object which nobody has kept would come again at once, and so on
// for ever. One exchange of the whole word: who locks it in between has it, disarmed.
void DisarmSole(Header* header) {
  // Acquire: as any count that is read.
  uint64_t word = header->Shared(std::memory_order_acquire);
  constexpr uint64_t kBoth = internal::kMerged | kFinalizable;
  const bool sole =
      (word & kBoth) == kBoth && internal::SharedExt(word) == 1 && internal::SharedHeap(word) == 0;
  if (sole) (void)header->CompareExchangeShared(&word, word & ~kFinalizable);
}

void Finalize(Header* header) {
  CallUser(
      {.phase = "finalizer", .type = internal::TypeInfoOf(header), .object = header->Payload()},
      [header] { internal::TypeInfoOf(header)->finalize(header->Payload()); });
  DisarmSole(header);
  internal::DropExt(header);
}

// Any thread; wherever the task goes, it runs.
template <typename Work>
void Dispatch(const FinalizerExecutor& executor, Work work) {
  FinalizerTask task(work);
  CallUser({.phase = "finalizer executor"}, [&] { executor(std::move(task)); });
}

}  // namespace

Header*& FinalizerLink(Header* header) {
  const size_t offset = internal::FinalizerLinkOffset(internal::TypeInfoOf(header)->bytes);
  return *reinterpret_cast<Header**>(static_cast<char*>(header->Payload()) + offset);
}

void QueueFinalizer(Slot* slot, Header* header) {
  FinalizerLink(header) = nullptr;
  internal::CompilerBarrier();  // whole at every moment, for the child of a fork
  if (slot->first_finalizer == nullptr) {
    slot->first_finalizer = header;
  } else {
    FinalizerLink(slot->last_finalizer) = header;
  }
  slot->last_finalizer = header;
}

bool RunNextFinalizer(Slot* slot) {
  Header* header = slot->first_finalizer;
  if (header == nullptr) return false;
  slot->first_finalizer = FinalizerLink(header);
  if (const FinalizerExecutor* executor = ExecutorOf(internal::SegmentOf(header)->core)) {
    Dispatch(*executor, header);
  } else {
    Finalize(header);
  }
  return true;
}

void GatherLostFinalizers(const Slot* mine) {
  threads::ForEachSlot([mine](Slot& slot) {
    if (&slot == mine || slot.first_finalizer == nullptr) return;
    // The end is looked for: a lost thread may have linked an object and not noted it as the last.
    Header* last = slot.first_finalizer;
    while (Header* next = FinalizerLink(last)) last = next;
    FinalizerLink(last) = std::exchange(g_lost_finalizers, slot.first_finalizer);
    slot.first_finalizer = nullptr;
  });
}

void TakeUpLostFinalizers(Slot* slot) {
  for (Header *header = std::exchange(g_lost_finalizers, nullptr), *next; header != nullptr;
       header = next) {
    next = FinalizerLink(header);
    QueueFinalizer(slot, header);
  }
}

bool TakeFinalizer(Header* header, bool rooted_too) {
  // Acquire: as any count that is read.
  uint64_t word = header->Shared(std::memory_order_acquire);
  for (;;) {
    if ((word & kDead) != 0 || (word & kFinalizable) == 0) return false;
    // Rooted: a weak handle has just brought it back.
    if (internal::ExtIsFull(word) || (!rooted_too && internal::SharedExt(word) > 0)) return false;
    if (header->CompareExchangeShared(&word, (word & ~kFinalizable) + kSharedExt)) return true;
  }
}

void DispatchRecord(const internal::HeapCore* core, internal::WeakRecord* record) {
  if (const FinalizerExecutor* executor = ExecutorOf(core)) {
    Dispatch(*executor, record);
  } else {
    RunRecord(record, /*whole=*/true);
  }
}

}  // namespace reef::object

namespace reef {

void FinalizerTask::operator()() noexcept {
  if (object_ != nullptr) object::Finalize(std::exchange(object_, nullptr));
  if (record_ != nullptr) object::RunRecord(std::exchange(record_, nullptr), /*whole=*/false);
}

namespace internal {

bool IsFinalizable(const Header* header) {
  return (header->Shared(std::memory_order_acquire) & kFinalizable) != 0;
}

void Rearm(Header* header) {
  const bool has_one = TypeInfoOf(header)->finalize != nullptr;
  REEF_CHECK_OF(has_one || !REEF_IS_CHECKED, object::SubjectOf(header),
                "RearmFinalizer of an object whose own type hides the Finalize of its base",
                "give that type a Finalize that Reef can call, or do not re-arm it");
  // It has no hidden word.
  if (has_one) (void)header->SetFlags(kFinalizable);
}

}  // namespace internal
}  // namespace reef
