// Member<T>: a strong edge inside a managed object, counted and traced.
//
// One pointer wide. It may only be a data member (or part of one) of a managed object, and the
// object's Trace must visit it. Checked builds abort when a Member outside a managed object is
// given a target, and when the target belongs to another heap.
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
  T& operator*() const noexcept { return *get(); }
  T* operator->() const noexcept { return get(); }
  explicit operator bool() const noexcept { return edge_.Get() != nullptr; }

  // Drops the edge; destroys the target, and what only it kept, if this was the last reference.
  void Reset() noexcept { edge_.Reset(); }
  // Takes the target out, leaving the edge empty.
  [[nodiscard]] Ref<T> Take() noexcept { return Ref<T>::FromOwned(static_cast<T*>(edge_.Take())); }

 private:
  friend struct internal::EdgeAccess;
  static void* Plain(const T* pointer) { return const_cast<std::remove_const_t<T>*>(pointer); }
  void Set(const T* pointer) { edge_.Store(Plain(pointer)); }

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
