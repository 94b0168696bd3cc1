#include "lib/object/type_name.h"

namespace reef::object {

// The signature is that of SignatureOf<T>:
//   g++    constexpr const char* reef::internal::SignatureOf() [with T = server::Account]
//   clang  const char *reef::internal::SignatureOf() [T = server::Account]
std::string_view TypeName(const internal::TypeInfo& type) {
  constexpr std::string_view kBefore = "T = ";
  const std::string_view signature = type.signature;
  const size_t begin = signature.find(kBefore, signature.find('['));
  const size_t end = signature.rfind(']');
  if (begin == std::string_view::npos || end == std::string_view::npos) return signature;
  return signature.substr(begin + kBefore.size(), end - begin - kBefore.size());
}

}  // namespace reef::object
