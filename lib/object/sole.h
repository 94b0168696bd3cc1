// The sole reference to another thread's object: taken over without asking its owner.
//
// Revocation (revocation.h) takes the bias from an owner who may be in the middle of a count, and
// pays a membarrier to know that it is not. Where the reference that is being dropped is the only
// one there is, nobody can be: to count up or down takes a reference of one's own, or a lent one.
//
// Protocol, by the thread that drops the reference and so alone can use it:
//   1. local says {owner, one count}: exchange it for {REVOKING, one count}
//   2. shared reads initial                      (acquire)
//   3. local still reads {REVOKING, one count}   (acquire)
// From 1 to 3 local held one count and shared none at 2, so at 2 there was one reference: ours.
// If 2 or 3 fails the drop takes the ordinary way. REVOKING may then stay behind without an entry
// that remembers the owner: whoever is to revoke the object asks all slots whether they are busy
// with it. (The argument in full: docs/protocols.md, section 2.)
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
