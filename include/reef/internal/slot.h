// Slots and brackets: what the engine knows of a thread, and how it knows what that thread is at.
//
// Every thread that uses a heap has a slot, made on first use and recycled whole at its end: the
// next new thread takes over its caches and its ownership of objects, headers untouched.
//
// A bracket is an engine operation that reads the collector's mode:
//   seq odd · compiler barrier · read mode · act · seq even (release)
// A thread outside its brackets is at a safe-point, and a safe-point answers for nothing half done:
// from the moment an edge or root goes until its count is down and, if that was the last, the stage
// is DYING, is one bracket. The partner is Rendezvous (lib/threads/rendezvous.h): it stores the
// mode, issues a membarrier, and then looks at every seq. The membarrier stands in for the fence
// between our store of seq and our load of the mode; where the system has none, the mode is never
// kIdle, and the bracket fences itself.
// In a bracket: no user code, no waiting, no allocation. Brackets do not nest; inner operations are
// handed the outer one. `seq` is never reset, so "it has changed" is "the bracket has ended".
#ifndef REEF_INTERNAL_SLOT_H_
#define REEF_INTERNAL_SLOT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/slab.h"

namespace reef::internal {

inline constexpr uint32_t kMaxHeaps = 256;
inline constexpr uint32_t kNoSlot = 0xfffffffe;  // + 1 is no slab's owner either
inline constexpr uint32_t kSlabOwnerLife = 1u << 17;
inline constexpr int kPendingEntries = 64;
inline constexpr uint32_t kHomeSample = 64;  // adaptive bias counts each such death at home

// The collector's mode. There is one collection at a time in a process; g_target says of which
// heap.
enum class Mode : uint32_t {
  kIdle = 0,        // no barrier
  kLogging = 1,     // every overwritten white edge is logged; newborn objects are still white
  kMarking = 2,     // newborn objects are black
  kIdleFenced = 3,  // as kIdle, where there is no membarrier: brackets must fence themselves
};

// Stored by the collector before a rendezvous; acquire in brackets.
inline std::atomic<Mode> g_mode{Mode::kIdle};
// The heap being collected: constant while the mode is not idle.
inline std::atomic<HeapCore*> g_target{nullptr};

// Bit 0 of a log entry: a revival, see LogRevival.
inline constexpr uintptr_t kRevival = 1;

// A slot's record of overwritten edges while a collection is armed: a chain of chunks. The owner
// appends; the collector reads behind it and recycles what it has read.
struct LogChunk {
  static constexpr uint32_t kEntries = 1022;
  // Release after the entry, acquire by the collector.
  std::atomic<uint32_t> used{0};
  uint32_t taken = 0;  // collector only
  // Release when the next chunk is ready, acquire by the collector.
  std::atomic<LogChunk*> next{nullptr};
  uintptr_t entries[kEntries];  // addresses of headers, with kRevival
};

// No bracket needs more log entries than this (an atomic exchange: both targets, two conversions).
inline constexpr uint32_t kBracketLogEntries = 8;

// Dead objects that wait for their destructors, linked through their `shared` words, in the order
// in which they will be destroyed. Its owner's thread only.
class DyingList {
 public:
  constexpr DyingList() = default;
  DyingList(const DyingList&) = delete;
  DyingList& operator=(const DyingList&) = delete;

  bool empty() const { return first_ == nullptr; }
  Header* first() const { return first_; }
  // The object's link must be null.
  REEF_INLINE void Append(Header* header) {
    if (first_ == nullptr) {
      first_ = header;
    } else {
      last_->AddLink(header);
    }
    last_ = header;
  }
  // Takes everything out: linked from the result.
  Header* TakeAll() { return std::exchange(first_, nullptr); }
  // The same, with the objects that are linked from `rest` (perhaps null) behind.
  Header* TakeAllBefore(Header* rest) {
    if (first_ == nullptr) return rest;
    last_->AddLink(rest);
    return TakeAll();
  }

 private:
  Header* first_ = nullptr;
  Header* last_ = nullptr;  // while there is a first
};

struct alignas(4096) Slot {
  // --- touched by every count and bracket ---
  // The object whose count this thread is changing, else null. Release (free on x86): a revoker
  // that reads a later value also sees the count stored before it.
  std::atomic<const Header*> busy{nullptr};
  std::atomic<uint64_t> seq{0};  // odd: inside a bracket
  // What `local` says of an object biased to this thread, with one root counted; and kBornUnbiased
  // if nothing is.
  uint64_t birth = kBornUnbiased | (uint64_t{kUnbiased} << kOwnerShift) | kLocalExt;
  bool fenced = false;       // no membarrier: brackets and scopes fence themselves
  bool draining = false;     // the dying worklist is being worked off
  bool claims_sole = false;  // see lib/object/sole.h
  bool unasked = false;      // so is what earlier statements have left: see object::DrainUnasked
  uint32_t index = kNoSlot;
  // What Slab::owner says of this thread's slabs: index + 1, and kSlabOwnerLife for each time that
  // a fork has cut off the slot's thread.
  uint32_t slab_owner = kNoSlot + 1;
  bool emptied = false;  // orphaned, and its caches have been released
  DyingList dying;       // the worklist of dead objects; owner only
  // Objects whose finalizers are due, in this order (lib/object/finalizer.h); owner only.
  Header* first_finalizer = nullptr;
  Header* last_finalizer = nullptr;
  std::atomic<uint64_t> suspects{0};  // owner only; the collector reads it (relaxed)
  uint32_t unsampled = kHomeSample;   // deaths until adaptive bias counts one (lib/object/bias.h)
  uint32_t probe = 0;                 // counts unbiased births: one in 64 is born biased
  uint32_t log_room = 0;              // entries left in `log`
  LogChunk* log = nullptr;            // the chunk being filled

  // What `local` says of an object biased to this thread that has no counts.
  uint32_t me() const { return static_cast<uint32_t>(birth) & ~kLocalCounts; }
  bool IsBiased() const { return (birth & kBornUnbiased) == 0; }

  // --- scopes ---
  alignas(64) std::atomic<uint64_t> scope{0};  // odd: inside a ReadScope
  uint32_t scope_depth = 0;
  uint32_t user_code = 0;  // constructors, destructors of managed objects running
  std::atomic<LogChunk*> first_log{nullptr};  // where the collector begins to read
  std::atomic<bool> log_lost{false};  // no memory for the log: the collection must be aborted
  std::atomic<int> tid{0};            // for the watchdog's message

  // --- handed to others ---
  // References whose object is biased to another thread: address | owner << 48. Filled by the
  // slot's thread, taken by exchange by whoever revokes.
  alignas(64) std::atomic<uint64_t> pending[kPendingEntries]{};
  uint32_t pending_hint = 0;                // owner only: where to put the next
  uint32_t pending_count = 0;               // owner only: entered since it last revoked
  std::atomic<Header*> retired{nullptr};    // published objects that wait for a grace period
  std::atomic<uint64_t> retired_bytes{0};   // ever; owner's stores, before the object is listed
  std::atomic<uint64_t> gathered_bytes{0};  // of these, taken off the list; release by a reclaimer
  // Taken off the list by the slot's thread, and the grace period for which they wait. Under the
  // reclaimer's `busy` (lib/object/retired.cc).
  Header* retired_waiting = nullptr;
  uint64_t retired_ticket = 0;
  uint32_t in_hand = 0;                  // owner only: see object::InHand
  uint32_t in_hand_due = 0;              // of which: over when the drain under way ends
  std::atomic<uint32_t> next_orphan{0};  // link of the list of slots whose threads ended

  ThreadCache* caches[kMaxHeaps];

  constexpr Slot() : caches{} {
    for (auto& cache : caches) cache = &g_empty_cache;
  }
};

// The slot of threads that have none: compares equal to no owner and owns no memory. Its `busy` and
// `seq` are written by many and tell nobody anything.
extern Slot g_null_slot;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REEF_TLS_MODEL
#else
#define REEF_TLS_MODEL __attribute__((tls_model("initial-exec")))
#endif
REEF_TLS_MODEL inline constinit thread_local Slot* tls_slot = &g_null_slot;

// Gives the calling thread a slot. May map memory; aborts only if no memory for a slot can be had.
// On the main thread takes the dynamic linker's lock: not with a mutex held that a library's
// statics may wait for.
Slot* AttachThread();

REEF_INLINE Slot* CurrentSlot() {
  Slot* slot = tls_slot;
  if (REEF_UNLIKELY(slot->index == kNoSlot)) slot = AttachThread();
  return slot;
}

// Keeps the compiler from moving memory accesses across; no instruction.
REEF_INLINE void CompilerBarrier() { std::atomic_signal_fence(std::memory_order_seq_cst); }

// A bracket and nothing more. It may act only if it finds the system idle(): then it needs neither
// a fence of its own nor space in the log. Otherwise it ends at once, and a Bracket does the work.
class BareBracket {
 public:
  REEF_INLINE explicit BareBracket(Slot* slot)
      : slot_(slot), seq_(slot->seq.load(std::memory_order_relaxed)) {
    REEF_DCHECK((seq_ & 1) == 0 || slot->index == kNoSlot, "a bracket was opened inside a bracket",
                "this is a bug in Reef: inner operations must be handed the outer bracket");
    // Relaxed and a compiler barrier: the rendezvous' membarrier is the fence (see above).
    slot->seq.store(seq_ + 1, std::memory_order_relaxed);
    CompilerBarrier();
  }
  // Release: who sees the even value sees all that the bracket did.
  REEF_INLINE ~BareBracket() { slot_->seq.store(seq_ + 2, std::memory_order_release); }
  BareBracket(const BareBracket&) = delete;
  BareBracket& operator=(const BareBracket&) = delete;

  // No collection is armed, and there is a membarrier.
  REEF_INLINE bool idle() const { return g_mode.load(std::memory_order_acquire) == Mode::kIdle; }

 private:
  Slot* const slot_;
  const uint64_t seq_;  // nobody else writes it
};

// A bracket that reads no mode and writes no log, for operations of which others must know that
// they have ended: a rendezvous waits for those that had begun. Off the fast paths.
class QuietBracket {
 public:
  explicit QuietBracket(Slot* slot) : bare_(slot) {
    if (slot->fenced) (void)slot->seq.fetch_add(0, std::memory_order_seq_cst);
    CompilerBarrier();
  }

 private:
  const BareBracket bare_;
};

struct EnteredBracket {
  uint64_t seq;
  Mode mode;
};
// The rest of entering a bracket that did not find the system idle: fences where there is no
// membarrier, and makes sure of space in the log; for that it leaves the bracket and enters again,
// because memory may have to be mapped.
EnteredBracket EnterBracketSlow(Slot* slot);
// Supplies log space, outside brackets. False when no memory can be had: the log is then marked as
// lost, nothing more is logged by this thread, and the collector aborts the collection.
bool RefillLog(Slot* slot);

class Bracket {
 public:
  REEF_INLINE explicit Bracket(Slot* slot)
      : slot_(slot), seq_(slot->seq.load(std::memory_order_relaxed) + 1) {
    REEF_DCHECK((seq_ & 1) != 0, "a bracket was opened inside a bracket",
                "this is a bug in Reef: inner operations must be handed the outer bracket");
    // As in BareBracket.
    slot->seq.store(seq_, std::memory_order_relaxed);
    CompilerBarrier();
    mode_ = g_mode.load(std::memory_order_acquire);
    if (REEF_UNLIKELY(mode_ != Mode::kIdle)) {
      const EnteredBracket entered = EnterBracketSlow(slot);
      seq_ = entered.seq;
      mode_ = entered.mode;
    }
  }
  // Release: who sees the even value sees all that the bracket did.
  REEF_INLINE ~Bracket() { slot_->seq.store(seq_ + 1, std::memory_order_release); }
  Bracket(const Bracket&) = delete;
  Bracket& operator=(const Bracket&) = delete;

  Slot* slot() const { return slot_; }
  Mode mode() const { return mode_; }  // never kIdleFenced
  bool armed() const { return mode_ != Mode::kIdle; }

 private:
  Slot* const slot_;
  uint64_t seq_;  // nobody else writes it
  Mode mode_;
};

// True when the object belongs to the heap being collected and is not proven reachable yet. Only
// inside a bracket that found a collection armed.
REEF_INLINE bool IsWhite(const Header* header) {
  HeapCore* target = g_target.load(std::memory_order_relaxed);
  const uint8_t colour = header->Colour();
  return !IsAlwaysBlack(colour) && SegmentOf(header)->core == target &&
         colour != target->black.load(std::memory_order_relaxed);
}

// Appends to the log. The bracket has made sure of the space; should it not suffice, the log is
// lost, and the collection is aborted.
inline void Log(const Bracket& bracket, uintptr_t entry) {
  Slot* slot = bracket.slot();
  if (slot->log_room == 0) {
    slot->log_lost.store(true, std::memory_order_relaxed);
    return;
  }
  LogChunk* chunk = slot->log;
  const uint32_t used = chunk->used.load(std::memory_order_relaxed);
  chunk->entries[used] = entry;
  chunk->used.store(used + 1, std::memory_order_release);
  --slot->log_room;
}

// Appends to the log if white.
inline void LogIfWhite(const Bracket& bracket, Header* header) {
  if (header == nullptr || !IsWhite(header)) return;
  Log(bracket, reinterpret_cast<uintptr_t>(header));
}

// Appends a white object that a weak handle has revived: its entry counts in the weak door until
// the collector has marked it.
inline void LogRevival(const Bracket& bracket, Header* header) {
  Log(bracket, reinterpret_cast<uintptr_t>(header) | kRevival);
}

}  // namespace reef::internal

#endif  // REEF_INTERNAL_SLOT_H_
