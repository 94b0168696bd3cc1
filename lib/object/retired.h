// Retired objects: published ones that are dead and wait for a grace period before their
// destructor.
//
// A published object's header and payload may be read by brackets that load it from an atomic cell
// at that moment, and by ReadScopes that peeked at it. So death only retires it: DYING, DEAD, still
// owning its edges (hence a root of marking), on its slot's retired list. A reclaimer gathers the
// lists of all slots, takes a grace ticket, and destroys the batch when it has passed.
//
// Reclaimers: the collector thread, every millisecond while anything is retired; and a retiring
// thread, of its own objects alone, after every kRetiredBytes of them: retired memory is bounded in
// bytes as long as scopes end. It never waits: who finds another reclaimer at work goes on.
//
// A thread that reclaims is in the middle of some other statement, perhaps with a lock held: so it
// destroys what its own statements have dropped, and calls nothing of the program's beside
// destructors (DrainUnasked). At the process's end, when the collector thread is parked, whoever
// retires reclaims all.
#ifndef REEF_LIB_OBJECT_RETIRED_H_
#define REEF_LIB_OBJECT_RETIRED_H_

#include <cstdint>

#include "reef/internal/header.h"
#include "reef/internal/slot.h"

namespace reef::object {

using internal::Header;
using internal::Slot;

// Each time that a slot has retired this much more it advances the grace period itself.
inline constexpr uint64_t kRetiredBytes = uint64_t{1} << 20;

void Retire(Slot* slot, Header* header);
// Advances the grace period and destroys what is due, as thread `slot`. True if something still
// waits.
bool ReclaimRetired(Slot* slot);
// Batches destroyed so far: changes as long as there is progress.
uint64_t CountReclaimed();
// Bytes that wait, in all slots and in the current batch. A snapshot.
uint64_t RetiredBytes();

// For fork: waits until no reclaimer is between two lists, and keeps them all away.
void HoldReclaimer();
void ReleaseReclaimer();
// The child: a lost thread may have counted an object's bytes and not listed it.
void RecountRetired();

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_RETIRED_H_
