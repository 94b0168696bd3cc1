// The sole reference to another thread's object: taken over without asking its owner.
//
// Revocation (revocation.h) takes the bias from an owner who may be in the middle of a count, and
// pays a membarrier to know that it is not. Where the reference that is being dropped is the only
// one there is, nobody can be: to count up or down takes a reference of one's own, or a lent one.
//
// Protocol, by the thread that drops the reference and so alone can use it:
//   1. local says {owner, one count}: exchange it for {CLAIMED, one count}
//   2. shared reads initial                     (acquire)
//   3. local still reads {CLAIMED, one count}   (acquire)
// From 1 to 3 local held one count, and shared none at 2: at 2 there was one reference, ours. If 2
// or 3 fails the drop takes the ordinary way, and everybody counts in shared: the owner, too,
// unless it overwrites the mark by an operation that was under way. A revoker who finds CLAIMED
// does not know the owner, and asks all slots whether they are busy with the object. The mark must
// not be REVOKING: a revoker who has been at its step 3 would take it for its own, of before its
// barrier. (The argument: docs/protocols.md, section 2. Model: tests/models/count.pml, CLAIM.)
#ifndef REEF_LIB_OBJECT_SOLE_H_
#define REEF_LIB_OBJECT_SOLE_H_

#include "reef/internal/count.h"
#include "reef/internal/header.h"

namespace reef::object {

// True if the reference that the caller is about to drop is the only one to the object, which is
// the caller's then: it reads as private and without counts. `shared` has just been read as
// initial, and the object is another thread's. Inside the dropping bracket.
bool ClaimSole(internal::Header* header, internal::Kind kind);

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_SOLE_H_
