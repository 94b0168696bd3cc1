// Member<T>: a strong edge inside a managed object, counted and traced.
//
// One pointer wide. It may only be a data member (or part of one) of a managed object, and the
// object's Trace must visit it. Checked builds abort when a Member is given a target outside a
// managed object, in raw bytes, in a type without Trace, or of another heap; in others the
// behaviour is undefined: nobody traces such an edge, and its target may be reclaimed early.
//
// In the destructor of an object that a collection reclaims every Member is null; so is one that
// was moved from.
//
// Thread safety: a plain data member. Writers and readers are synchronised by the program as for
// any C++ field; the concurrent collector may read it at any time. For fields that several threads
// exchange without a lock use AtomicMember.
#ifndef REEF_MEMBER_H_
#define REEF_MEMBER_H_

#include <compare>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/edge.h"
#include "reef/ref.h"
#include "reef/trace.h"

namespace reef {

template <typename T>
class Member {
 public:
  using element_type = T;

  constexpr Member() noexcept = default;
  constexpr Member(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)
  // From a handle to a derived type whose base T lies at offset zero; otherwise it aborts, in every
  // build.
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Member(const Ref<U>& ref) noexcept {  // NOLINT(google-explicit-constructor)
    Set(internal::UpCast<T>(ref.get()));
  }
  // A moved Ref hands its reference over: no count is touched twice.
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  REEF_INLINE Member(Ref<U>&& ref) noexcept {  // NOLINT(google-explicit-constructor)
    if (T* target = internal::UpCast<T>(ref.Release())) edge_.AdoptFirst(Plain(target));
  }
  Member(const Member& other) noexcept { Set(other.get()); }
  Member(Member&& other) noexcept { edge_.MoveFrom(other.edge_); }
  ~Member() = default;

  Member& operator=(const Member& other) noexcept {
    Set(other.get());
    return *this;
  }
  Member& operator=(Member&& other) noexcept {
    edge_.MoveAssign(other.edge_);
    return *this;
  }
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Member& operator=(const Ref<U>& ref) noexcept {
    Set(internal::UpCast<T>(ref.get()));
    return *this;
  }
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  REEF_INLINE Member& operator=(Ref<U>&& ref) noexcept {
    edge_.Adopt(Plain(internal::UpCast<T>(ref.Release())));
    return *this;
  }
  Member& operator=(std::nullptr_t) noexcept {
    Reset();
    return *this;
  }

  T* get() const noexcept { return static_cast<T*>(edge_.Get()); }
  // Not of a null Member: checked builds abort, in others the behaviour is undefined.
  T& operator*() const noexcept { return *NotNull(); }
  T* operator->() const noexcept { return NotNull(); }
  explicit operator bool() const noexcept { return edge_.Get() != nullptr; }

  // Drops the edge; destroys the target, and what only it kept, if this was the last reference.
  void Reset() noexcept { edge_.Reset(); }
  // Takes the target out, leaving the edge empty.
  [[nodiscard]] Ref<T> Take() noexcept { return Ref<T>::FromOwned(static_cast<T*>(edge_.Take())); }

 private:
  friend struct internal::EdgeAccess;
  static void* Plain(const T* pointer) { return const_cast<std::remove_const_t<T>*>(pointer); }
  void Set(const T* pointer) { edge_.Store(Plain(pointer)); }
  T* NotNull() const {
    T* target = get();
    REEF_DCHECK(target != nullptr, "a null reef::Member was dereferenced",
                "test it first; in the destructor of an object that was collected it is null");
    return target;
  }

  internal::Edge edge_;
};

template <typename T, typename U>
bool operator==(const Member<T>& a, const Member<U>& b) noexcept {
  return a.get() == b.get();
}
template <typename T, typename U>
bool operator==(const Member<T>& a, const Ref<U>& b) noexcept {
  return a.get() == b.get();
}
template <typename T>
bool operator==(const Member<T>& a, std::nullptr_t) noexcept {
  return a.get() == nullptr;
}

}  // namespace reef

#endif  // REEF_MEMBER_H_
