#include "lib/collector/cycle.h"

#include <new>
#include <utility>

#include "lib/collector/garbage.h"
#include "lib/collector/gate.h"
#include "lib/collector/housekeeping.h"
#include "lib/collector/parallel.h"
#include "lib/collector/roots.h"
#include "lib/collector/step.h"
#include "lib/collector/sweeper.h"
#include "lib/object/door.h"
#include "lib/os/chaos.h"
#include "lib/threads/hazard.h"
#include "lib/threads/log.h"
#include "lib/threads/rendezvous.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/slot.h"

namespace reef::collector {

using internal::g_mode;
using internal::g_target;
using internal::kColourShift;
using internal::kMaxColour;
using internal::kStageShift;
using internal::Mode;
using internal::Stage;

namespace {

// How long the root scan waits for ReadScopes that were open before arming.
constexpr Nanoseconds kScopePatience = std::chrono::milliseconds(5);

uint64_t BirthWord(uint8_t colour) {
  return (uint64_t{colour} << kColourShift) |
         (static_cast<uint64_t>(Stage::kBuilding) << kStageShift);
}

// Between the batches of the only marker.
Marker::Poll g_poll = nullptr;
void PollAndDestroy() {
  g_poll();
  DestroyHandedOver();
}

// By the first of several markers, which runs inside oneTBB: what destructors do there must not
// take up another marker, which would wait for this one.
void PollAlone() { RunIsolated(g_poll); }

// So many collections in a row were aborted that an object may bear the number that comes next:
// none does afterwards. No collection is armed; newborn objects are painted with their own stores.
void RepaintAll(const Space& space) {
  constexpr uint8_t kNoCycle = 0;
  ForEachTracedSlab(space, [](const Slab& slab) {
    ForEachBlock(slab, [](Header* header) {
      if (!internal::IsAlwaysBlack(header->Colour())) header->SetColour(kNoCycle);
    });
  });
}

}  // namespace

Cycle::Cycle(CollectedHeap* heap, Marker::Poll poll) : heap_(heap), poll_(poll) {}

void Cycle::StartPhase(Phase phase) {
  const Nanoseconds now = os::Now();
  report_.phase_time[static_cast<int>(phase_)] += now - phase_start_;
  phase_ = phase;
  phase_start_ = now;
}

bool Cycle::Failed() const {
  for (const auto& marker : markers_) {
    if (marker->Failed()) return true;
  }
  return no_room_ || threads::AnyLogLost();
}

// False if there is no memory for them.
bool Cycle::MakeMarkers() {
  const int count = heap_->options.marker_threads;
  g_poll = poll_;
  try {
    for (int i = 0; i < count; ++i) {
      // Only the first one polls: it runs on the collector thread.
      const Marker::Poll poll = i != 0 ? nullptr : count == 1 ? &PollAndDestroy : &PollAlone;
      markers_.push_back(std::make_unique<Marker>(*heap_->space, black_, i, poll));
    }
  } catch (const std::bad_alloc&) {
    markers_.clear();
    return false;
  }
  return true;
}

bool Cycle::Arm() {
  HeapCore* core = heap_->core;
  const uint8_t last = core->black.load(std::memory_order_relaxed);
  black_ = last >= kMaxColour ? 1 : static_cast<uint8_t>(last + 1);
  if (!MakeMarkers()) return false;
  heap_->under_way.black = black_;
  heap_->under_way.reach = UnderWay::Reach::kMarking;
  // Relaxed: read in brackets that find a collection armed, that is, after the store of the mode.
  core->black.store(black_, std::memory_order_relaxed);
  g_target.store(core, std::memory_order_relaxed);
  threads::SetMarkers(heap_->options.marker_threads);
  g_mode.store(Mode::kLogging, std::memory_order_release);
  REEF_CHAOS_POINT("logging stored");
  Pass(Step::kLogging);
  threads::Rendezvous();  // T0
  Pass(Step::kEverybodyLogs);
  scopes_ticket_ = threads::TakeGraceTicket();
  core->birth.store(BirthWord(black_), std::memory_order_release);
  g_mode.store(Mode::kMarking, std::memory_order_release);
  REEF_CHAOS_POINT("marking stored");
  Pass(Step::kMarking);
  threads::Rendezvous();  // T1
  Pass(Step::kBornBlack);
  return true;
}

void Cycle::ScanTheRoots() {
  // Time at the gate is none that was waited: the scope may be of the thread that drives.
  const auto time = [] { return os::Now() - TimeAtGate(); };
  const Nanoseconds deadline = time() + kScopePatience;
  os::Backoff backoff;
  threads::AdvanceGrace();
  while (!threads::GracePassed(scopes_ticket_) && time() < deadline) {
    backoff.Pause();
    poll_();
    threads::AdvanceGrace();
  }
  published_too_ = !threads::GracePassed(scopes_ticket_);
  report_.roots =
      ScanRoots(*heap_->space, black_, published_too_, markers_[0].get(), &conservative_, poll_);
  conservative_ = conservative_ || published_too_;
  Pass(Step::kRootsScanned);
}

bool Cycle::WaitsForScope() const {
  if (!published_too_) return false;
  threads::AdvanceGrace();
  return !threads::GracePassed(scopes_ticket_);
}

void Cycle::MarkToEmpty() {
  if (markers_.size() == 1) {
    markers_[0]->Run(nullptr);
  } else {
    RunMarkers(markers_);
  }
}

// True if the logs held something white, or a revival: that one's bracket may have moved other
// objects out of the revived one, whose entries this round does not see.
bool Cycle::TakeLogs() {
  bool found = false;
  threads::ForEachSlot([&](internal::Slot& slot) {
    report_.logged += threads::TakeLog(slot, [&](Header* header, bool revival) {
      if (markers_[0]->PushIfWhite(header)) found = true;
      if (revival) {
        found = true;
        ++revivals_;
      }
    });
  });
  Pass(Step::kLogsTaken);
  return found;
}

void Cycle::Mark() {
  for (;;) {
    MarkToEmpty();
    REEF_CHAOS_POINT("marked to empty");
    Pass(Step::kMarked);
    // Their objects are marked, with all they reach.
    object::LeaveDoor(std::exchange(revivals_, 0));
    // The first white object on a path that is still to be marked lost its edge in a bracket that
    // began before its predecessor was traced, hence ended before this rendezvous, hence is logged.
    threads::Rendezvous();
    DestroyHandedOver();
    const bool found = TakeLogs();
    if (Failed()) return;
    if (found) continue;
    if (TakeFinalizers(*heap_->space, black_, markers_[0].get(), &heap_->under_way.finalizers,
                       poll_)) {
      Pass(Step::kFinalizersTaken);
      continue;
    }
    const Kept kept = KeepGarbage(heap_, black_, markers_[0].get(), &report_);
    no_room_ = kept == Kept::kNoRoom;
    if (no_room_) return;
    if (kept == Kept::kSome) {
      Pass(Step::kGarbageKept);
      continue;
    }
    // Directly after a round that brought nothing new. Somebody is inside: his entry is yet to
    // come.
    if (object::CloseDoor()) break;
  }
  heap_->under_way.reach = UnderWay::Reach::kCondemning;
  Pass(Step::kDoorClosed);
}

void Cycle::Condemn() {
  collector::Condemn(*heap_->space, black_, &report_, &heap_->under_way.cells, poll_);
  heap_->under_way.reach = UnderWay::Reach::kSweeping;
  Pass(Step::kCondemned);
}

void Cycle::Disarm() {
  g_mode.store(threads::IdleMode(), std::memory_order_release);
  REEF_CHAOS_POINT("idle stored");
  Pass(Step::kIdle);
  threads::Rendezvous();
  threads::DiscardLogs();
  object::OpenDoor();
  // After the rendezvous: whoever saw a published batch has handed over by now.
  DestroyHandedOver();
}

CollectionReport Cycle::Run() {
  const Nanoseconds start = os::Now();
  phase_start_ = start;
  report_.cycles = 1;
  constexpr int kMostAborts = kMaxColour - 10;
  if (heap_->aborts_in_row >= kMostAborts) {
    RepaintAll(*heap_->space);
    heap_->aborts_in_row = 0;
  }
  if (!Arm()) {
    report_.aborted = 1;
    return report_;
  }
  StartPhase(Phase::kRoots);
  ScanTheRoots();
  StartPhase(Phase::kMark);
  if (!Failed()) Mark();
  for (const auto& marker : markers_) {
    report_.marked += marker->marked();
    conservative_ = conservative_ || marker->conservative();
  }
  if (Failed()) {
    report_.aborted = 1;
    Disarm();
    heap_->under_way.reach = UnderWay::Reach::kNothing;
    ++heap_->aborts_in_row;
  } else {
    heap_->aborts_in_row = 0;
    internal::Slot* slot = internal::CurrentSlot();
    StartPhase(Phase::kCondemn);
    PrintGarbage(*heap_, black_);
    Condemn();
    Disarm();
    Pass(Step::kDoorOpen);
    StartPhase(Phase::kClear);
    RunCallbacks(*heap_->space, black_, &heap_->under_way.cells);
    Pass(Step::kCallbacksRun);
    if (report_.objects != 0) ClearGarbage(*heap_->space, black_, slot, poll_);
    Pass(Step::kCleared);
    StartPhase(Phase::kFree);
    if (report_.objects != 0) FreeGarbage(*heap_->space, black_, slot, poll_);
    heap_->under_way.reach = UnderWay::Reach::kNothing;
    Pass(Step::kFreed);
  }
  // Also those that an aborted collection has taken.
  report_.finalized = heap_->under_way.finalizers.count;
  RunFinalizers(internal::CurrentSlot(), &heap_->under_way.finalizers);
  Pass(Step::kFinalized);
  StartPhase(phase_);
  report_.total_time = os::Now() - start;
  return report_;
}

}  // namespace reef::collector
