// The façade of control: Heap's functions of reef/control.h, and its two handles.
#include "lib/control.h"

#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/collector/collector.h"
#include "lib/collector/control.h"
#include "lib/collector/freeze.h"
#include "lib/options.h"
#include "reef/any_ref.h"
#include "reef/control.h"
#include "reef/heap.h"
#include "reef/internal/check.h"
#include "reef/internal/count.h"

namespace reef {

using collector::Callback;
using collector::CollectedHeap;
using collector::Control;

CollectionPause::CollectionPause(Heap& heap) : control_(heap.control()) { control_->Pause(); }
CollectionPause::~CollectionPause() { control_->Resume(); }

CollectionCallback& CollectionCallback::operator=(CollectionCallback&& other) noexcept {
  if (this == &other) return *this;
  Reset();
  control_ = std::move(other.control_);
  callback_ = std::move(other.callback_);
  return *this;
}

void CollectionCallback::Reset() noexcept {
  if (callback_ == nullptr) return;
  control_->Remove(callback_);
  callback_.reset();
  control_.reset();
}

const std::shared_ptr<Control>& Heap::control() const { return CollectedHeap::Of(core_)->control; }

void Heap::EnableCollection() { control()->SetAutomatic(true); }
void Heap::DisableCollection() { control()->SetAutomatic(false); }
bool Heap::IsCollectionEnabled() const { return control()->StartsByItself(); }

absl::Status Heap::SetPacing(const PacingOptions& pacing) {
  HeapOptions options;
  options.growth_percent = pacing.growth_percent;
  options.growth_bytes = pacing.growth_bytes;
  options.collector_cpu_percent = pacing.collector_cpu_percent;
  options.marker_threads = pacing.marker_threads;
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  control()->SetPacing({.growth_percent = pacing.growth_percent,
                        .growth_bytes = pacing.growth_bytes,
                        .cpu_percent = pacing.collector_cpu_percent,
                        .marker_threads = pacing.marker_threads});
  return absl::OkStatus();
}

PacingOptions Heap::Pacing() const {
  const collector::CollectorOptions options = control()->options();
  return {.growth_percent = options.growth_percent,
          .growth_bytes = options.growth_bytes,
          .collector_cpu_percent = options.cpu_percent,
          .marker_threads = options.marker_threads};
}

void Heap::SetDebug(const DebugFlags& flags) {
  control()->SetDebugging({.print_statistics = flags.print_statistics,
                           .print_garbage = flags.print_garbage,
                           .keep_garbage = flags.keep_garbage});
}

DebugFlags Heap::Debug() const {
  const collector::Debugging debugging = control()->options().debugging;
  return {.print_statistics = debugging.print_statistics,
          .print_garbage = debugging.print_garbage,
          .keep_garbage = debugging.keep_garbage};
}

std::vector<AnyRef> Heap::TakeGarbage() {
  std::vector<AnyRef> garbage;
  control()->TakeKept([&garbage](const std::vector<internal::Header*>& kept) {
    garbage.reserve(kept.size());  // from here on nothing throws
    for (internal::Header* header : kept) garbage.push_back(AnyRef::FromOwned(header));
  });
  return garbage;
}

CollectionCallback Heap::OnCollection(std::function<void(const CollectionEvent&)> function) {
  REEF_DCHECK(function != nullptr, "Heap::OnCollection without a function",
              "pass something that can be called");
  if (function == nullptr) return {};
  auto callback = std::make_shared<Callback>(std::move(function));
  control()->Add(callback);
  return {control(), std::move(callback)};
}

std::vector<CollectionRecord> Heap::History() const { return control()->History(); }

namespace {

// Runs `work` on the heap's space while no collection of the heap is under way and no slab loses
// its layout.
template <typename Work>
absl::StatusOr<uint64_t> BetweenCollections(const CollectedHeap* heap, Work work) {
  if (!heap->control->HoldOff()) {
    return absl::FailedPreconditionError(
        "Freeze and Unfreeze in a destructor, finalizer or weak callback that a collection of the "
        "same heap runs would wait for that collection");
  }
  uint64_t count = 0;
  {
    const std::shared_lock<std::shared_mutex> lock(const_cast<CollectedHeap*>(heap)->layout);
    count = work(*heap->space);
  }
  heap->control->LetGo();
  return count;
}

}  // namespace

absl::StatusOr<uint64_t> Heap::Freeze() {
  return BetweenCollections(CollectedHeap::Of(core_), &collector::FreezeAll);
}

absl::StatusOr<uint64_t> Heap::Unfreeze() {
  // What became unreachable while it was frozen has left no suspects behind since.
  absl::StatusOr<uint64_t> count =
      BetweenCollections(CollectedHeap::Of(core_), &collector::UnfreezeAll);
  if (count.ok() && *count != 0) control()->MakeDue();
  return count;
}

uint64_t Heap::FreezeCount() const {
  CollectedHeap* heap = CollectedHeap::Of(core_);
  const std::shared_lock<std::shared_mutex> lock(heap->layout);
  return collector::CountFrozen(*heap->space);
}

bool LetGoOfControl(CollectedHeap* heap) {
  Control& control = *heap->control;
  control.SetDebugging({});
  if (!control.HoldOffUnless(&collector::IsHeldUp)) return false;
  {
    const std::shared_lock<std::shared_mutex> lock(heap->layout);
    // What became unreachable while it was frozen is found by the collection that follows.
    (void)collector::UnfreezeAll(*heap->space);
  }
  control.LetGo();
  for (internal::Header* header : control.GiveUpKept()) internal::DropExt(header);
  return true;
}

std::string AnyRef::type_name() const {
  if (!ref_) return {};
  const internal::TypeInfo* type = internal::TypeInfoOf(HeaderOf());
  // The signature contains the name, and has room for its end.
  std::string name(std::strlen(type->signature) + 1, '\0');
  internal::CopyTypeName(type, name.data(), name.size());
  name.resize(std::strlen(name.c_str()));
  return name;
}

}  // namespace reef
