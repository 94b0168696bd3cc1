// Which object a diagnosed error is about: for its message.
#ifndef REEF_LIB_OBJECT_SUBJECT_H_
#define REEF_LIB_OBJECT_SUBJECT_H_

#include "reef/internal/check.h"
#include "reef/internal/header.h"

namespace reef::object {

// The type and the payload's address of that object. Any thread; the header must be an object's.
internal::Subject SubjectOf(const internal::Header* header);
// The same of the object in whose block `address` lies; nothing if that is none.
internal::Subject SubjectAround(const void* address);

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_SUBJECT_H_
