// The name of a managed type, as the compiler spells it.
#ifndef REEF_LIB_OBJECT_TYPE_NAME_H_
#define REEF_LIB_OBJECT_TYPE_NAME_H_

#include <string_view>

#include "reef/internal/type_info.h"

namespace reef::object {

// "server::Account". Lives as long as the type's code. O(length).
std::string_view TypeName(const internal::TypeInfo& type);

}  // namespace reef::object

#endif  // REEF_LIB_OBJECT_TYPE_NAME_H_
