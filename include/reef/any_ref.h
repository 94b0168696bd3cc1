// AnyRef: a counted strong root to a managed object of any type.
//
// What a Ref is, but that the type is known at run time only: for lists of mixed objects, and for
// what the collector hands out (Heap::TakeGarbage). One pointer wide; places, thread safety and
// cost as Ref's.
#ifndef REEF_ANY_REF_H_
#define REEF_ANY_REF_H_

#include <cstddef>
#include <string>
#include <utility>

#include "reef/internal/type_info.h"
#include "reef/ref.h"

namespace reef {

class AnyRef {
 public:
  constexpr AnyRef() noexcept = default;
  // From a Ref, also one to a base: the type is the object's own.
  template <typename T>
  AnyRef(const Ref<T>& ref) noexcept  // NOLINT(google-explicit-constructor)
      : AnyRef(Ref<T>(ref)) {}
  template <typename T>
  AnyRef(Ref<T>&& ref) noexcept  // NOLINT(google-explicit-constructor)
      : ref_(Ref<Unknown>::FromOwned(
            static_cast<Unknown*>(const_cast<void*>(static_cast<const void*>(ref.Release()))))) {}

  // True if the object was made as a T. No conversions: not for a base of its type. Null is no T.
  template <typename T>
  bool Is() const noexcept {
    return ref_ && internal::SameType(internal::TypeInfoOf(HeaderOf()), &internal::TypeOf<T>::info);
  }
  // A Ref to it if the object was made as a T, else null. (That it came from a Ref<const T> is
  // forgotten.)
  template <typename T>
  Ref<T> As() const noexcept {
    if (!Is<T>()) return nullptr;
    return Ref<T>::FromManaged(static_cast<T*>(const_cast<void*>(address())));
  }

  // As the compiler spells it, "server::Account"; empty for null. O(length).
  std::string type_name() const;
  // Of the object; null for null.
  const void* address() const noexcept { return ref_.get(); }
  // What it occupies in the heap, its header included; 0 for null.
  size_t bytes() const noexcept { return SizeOf(ref_); }
  explicit operator bool() const noexcept { return static_cast<bool>(ref_); }
  // Drops the reference.
  void Reset() noexcept { ref_.Reset(); }

  friend bool operator==(const AnyRef&, const AnyRef&) noexcept = default;

  // Engine use: takes over a counted root.
  static AnyRef FromOwned(internal::Header* header) noexcept {
    AnyRef any;
    any.ref_ = Ref<Unknown>::FromOwned(static_cast<Unknown*>(header->Payload()));
    return any;
  }

 private:
  // Never looked into: all that a Ref does to its object it does through the header.
  struct Unknown {
    std::byte first;
  };
  internal::Header* HeaderOf() const { return internal::Header::Of(ref_.get()); }

  Ref<Unknown> ref_;
};

}  // namespace reef

#endif  // REEF_ANY_REF_H_
