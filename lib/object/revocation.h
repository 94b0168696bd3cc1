// Revocation: taking the bias away from an owner who need not cooperate.
//
// A thread that drops a reference which the owner counted cannot know whether it was the last. It
// keeps the reference (QUEUED, as a root) and enters it in its slot's pending list. For a batch of
// such entries a revoker does:
//   1. exchange each `local` from {owner, counts} to {REVOKING, counts}, remembering the owner;
//   2. one membarrier;
//   3. per object: read the owner's `busy` first, then `local` again. Still REVOKING and not busy:
//      the owner has no operation on the object under way, and every later one will find REVOKING;
//   4. one exchange on `shared` adds the local counts, sets MERGED and drops the queued reference.
//      Nothing writes `local` again: whoever sees MERGED ignores it.
// The other entries stay pending. Why busy first: were `local` read first, the owner could store
// its count and go on to another object between the two reads, and its count would be lost. An
// owner found 0 stands inside its LocalZero (leave it) or has merged (an ordinary merged drop).
//
// Revokers: the dropping thread when its list fills, a thread at its end, and the collector thread
// every millisecond while any entry exists. (Model: tests/models/count.pml.)
#ifndef REEF_LIB_OBJECT_REVOCATION_H_
#define REEF_LIB_OBJECT_REVOCATION_H_

#include <cstdint>

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::object {

using internal::Header;
using internal::Slot;

// What a decrement returns instead of a dead object when the pending list should be worked off:
// Die() does that, outside the bracket.
inline Header* const kRevocationDue = reinterpret_cast<Header*>(uintptr_t{1});

// Enters a queued reference, inside a bracket; null or kRevocationDue.
[[nodiscard]] Header* Pend(Slot* slot, Header* header);

// Revokes what `from` has pending, as thread `slot`, and destroys what dies by it. Outside
// brackets.
void RevokePending(Slot* slot, Slot& from);
// The same for all slots, and for entries that were left over. True if some remain. Collector
// thread.
bool RevokeAllPending(Slot* slot);
// Entries settled since the start: changes as long as there is progress.
uint64_t CountSettled();
// Entries that wait; those of them whose owner stood in the middle of an operation. Snapshots.
uint64_t CountPending();
uint64_t CountLeftOver();
// Entries that no revoker has tried yet. A snapshot, at least those entered before the call.
uint64_t CountUntried();
// The child of a fork: a lost thread may have counted an entry and not stored it, or the reverse.
void RecountLeftOver();

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_REVOCATION_H_
