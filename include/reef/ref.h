// Ref<T>: a counted strong root.
//
// One pointer wide. May live anywhere outside managed objects: stacks, globals, thread_locals,
// coroutine frames, std containers, exceptions. (Inside a managed object it is legal but keeps its
// target alive as a root, so cycles through it are never found; checked builds report it. Use
// Member there.)
//
// Thread safety: as std::shared_ptr. Different Refs to one object may be used from any threads; one
// Ref object is for one thread at a time. For a Ref that several threads replace use AtomicRef.
//
// Cost: on the thread that made the object a copy is two plain stores and an add; elsewhere one
// atomic add (biased reference counting; Choi, Shull, Torrellas, PACT 2018, with the bias taken
// away from owners that need not cooperate). Moves touch no count.
//
// The last Ref or Member gone, the destructor runs before that statement ends, on that thread. The
// exceptions: the object was published through an Atomic… (after a grace period), is under the
// collector's hands at that instant (on the collector thread, at once after), or is biased to
// another thread (at the next revocation: 56 such drops or a millisecond later).
//
// Wrong calls: below is said of each what checked builds do; in others the behaviour is undefined
// where nothing else is said. A null Ref, and one that was moved from, which is null, may be
// copied, compared, dropped, shared and asked for counts: nothing happens, and the counts are 0. No
// destructor can keep its object: a new Ref to what is being destroyed aborts in checked builds.
#ifndef REEF_REF_H_
#define REEF_REF_H_

#include <compare>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/count.h"
#include "reef/internal/edge.h"
#include "reef/internal/header.h"

namespace reef {

template <typename T>
class Member;

namespace internal {

// Converts to a base, which must be at offset zero: the engine finds the header by the address.
template <typename To, typename From>
REEF_INLINE To* UpCast(From* from) {
  To* to = from;
  REEF_CHECK(static_cast<const void*>(to) == static_cast<const void*>(from),
             "a handle was converted to a base class at a non-zero offset",
             "make that base the first one, or hold a Ref to the whole object");
  return to;
}

}  // namespace internal

template <typename T>
class Ref {
 public:
  using element_type = T;

  constexpr Ref() noexcept = default;
  constexpr Ref(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)
  Ref(const Ref& other) noexcept : Ref(other.pointer_, Counted{}) {}
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) { CheckPlace(); }
  // From a Ref to a derived type whose base T lies at offset zero; otherwise it aborts, in every
  // build.
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Ref<U>& other) noexcept  // NOLINT(google-explicit-constructor)
      : Ref(internal::UpCast<T>(other.get()), Counted{}) {}
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Ref(Ref<U>&& other) noexcept  // NOLINT(google-explicit-constructor)
      : pointer_(internal::UpCast<T>(other.Release())) {
    CheckPlace();
  }
  // A root to what an edge points to.
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Member<U>& member) noexcept  // NOLINT(google-explicit-constructor)
      : Ref(internal::UpCast<T>(member.get()), Counted{}) {}
  ~Ref() {
    if (pointer_ != nullptr) internal::DropExt(HeaderOf());
  }

  Ref& operator=(const Ref& other) noexcept {
    Ref(other).Swap(*this);
    return *this;
  }
  Ref& operator=(Ref&& other) noexcept {
    Ref(std::move(other)).Swap(*this);
    return *this;
  }

  T* get() const noexcept { return pointer_; }
  // Not of a null Ref: checked builds abort.
  T& operator*() const noexcept {
    CheckNotNull();
    return *pointer_;
  }
  T* operator->() const noexcept {
    CheckNotNull();
    return pointer_;
  }
  explicit operator bool() const noexcept { return pointer_ != nullptr; }

  // Drops the reference. The object, and what only it kept, is destroyed if this was the last.
  void Reset() noexcept { Ref().Swap(*this); }
  // Drops the reference as well, but leaves the destruction of what dies by it to the collector
  // thread: no destructor runs before the statement ends, and it costs the same for ten million
  // objects as for one. (From inside a destructor or finalizer of a managed object it is an
  // ordinary drop.)
  void DropLater() && noexcept {
    if (T* pointer = Release()) internal::DropExtLater(internal::Header::Of(pointer));
  }
  void Swap(Ref& other) noexcept {
    std::swap(pointer_, other.pointer_);
    CheckPlace();
    other.CheckPlace();
  }

  // Gives up the bias of an object that only this Ref refers to, before it goes to another thread:
  // its counts there, and its death there, then cost no more than an atomic counter's. Does nothing
  // if others refer to it. Plain stores, no waiting.
  [[nodiscard]] Ref Share() && {
    if (pointer_ != nullptr) internal::ShareUnique(HeaderOf());
    return std::move(*this);
  }
  // The receiver's half: makes the calling thread the owner of an object that only this Ref refers
  // to, so that its further counts are plain. Does nothing if it is not unique, or while the
  // collector is at work.
  [[nodiscard]] Ref Adopt() && {
    if (pointer_ != nullptr) internal::AdoptUnique(HeaderOf());
    return std::move(*this);
  }

  // Engine use: the pointer with its counted reference, which the caller now owns.
  [[nodiscard]] T* Release() noexcept { return std::exchange(pointer_, nullptr); }
  // Engine use: a Ref that takes over a counted reference.
  static Ref FromOwned(T* pointer) noexcept {
    Ref ref;
    ref.pointer_ = pointer;
    return ref;
  }
  // A new root to a managed object, by its plain pointer: for `this`, or for what an edge showed.
  // Somebody must hold a reference to it during the call; for what Peek showed use TryRef. Checked
  // builds abort if `object` is not the whole of a living managed object: a local one, a part, a
  // base that lies behind the start, raw bytes, one that is being destroyed; or, if its type has a
  // Trace, constructed. Null gives null.
  static Ref FromManaged(T* object) noexcept {
    if (REEF_IS_CHECKED && object != nullptr) internal::CheckManaged(object);
    return Ref(object, Counted{});
  }

 private:
  struct Counted {};
  Ref(T* pointer, Counted) noexcept : pointer_(pointer) {
    if (pointer_ != nullptr) internal::IncrementExt(HeaderOf());
    CheckPlace();
  }
  internal::Header* HeaderOf() const { return internal::Header::Of(pointer_); }
  void CheckNotNull() const {
    REEF_DCHECK(pointer_ != nullptr, "a null reef::Ref was dereferenced",
                "test it first; one that was moved from is null");
  }
  void CheckPlace() const {
    if (REEF_IS_CHECKED && pointer_ != nullptr) internal::CheckRootPlace(this);
  }

  T* pointer_ = nullptr;
};

// A root to the object `object`, typically `this`. See Ref::FromManaged.
template <typename T>
Ref<T> RefTo(T* object) noexcept {
  return Ref<T>::FromManaged(object);
}

// The same object as another type, as static_cast does: undefined if it is none. The target type
// must start where T starts; otherwise it aborts, in every build.
template <typename To, typename From>
Ref<To> StaticRefCast(const Ref<From>& from) noexcept {
  To* to = static_cast<To*>(from.get());
  REEF_CHECK(static_cast<const void*>(to) == static_cast<const void*>(from.get()),
             "StaticRefCast to a type at a non-zero offset",
             "the engine finds the header by the object's address: keep the base first");
  return Ref<To>::FromManaged(to);
}

// How many references there are to the object, roots and edges, the argument included (as Python's
// sys.getrefcount). Exact on the thread that made the object while no other thread changes its
// references; elsewhere a snapshot. O(1).
template <typename T>
int64_t RefCount(Ref<T> ref) noexcept {
  return ref ? internal::CountReferences(internal::Header::Of(ref.get())) : 0;
}

// The bytes that the object occupies in the heap, its header included. O(1).
template <typename T>
size_t SizeOf(const Ref<T>& ref) noexcept {
  return ref ? internal::BlockBytes(internal::Header::Of(ref.get())) : 0;
}

// Takes the object out of counting for good: its references cost no writes to it any more, and it
// is never destroyed. For objects that every thread uses as long as the process lives. Twice is
// once.
template <typename T>
void MakeImmortal(const Ref<T>& ref) noexcept {
  if (ref) internal::Immortalize(internal::Header::Of(ref.get()));
}

template <typename T, typename U>
bool operator==(const Ref<T>& a, const Ref<U>& b) noexcept {
  return a.get() == b.get();
}
template <typename T>
bool operator==(const Ref<T>& a, std::nullptr_t) noexcept {
  return a.get() == nullptr;
}
template <typename T, typename U>
std::strong_ordering operator<=>(const Ref<T>& a, const Ref<U>& b) noexcept {
  return std::compare_three_way()(static_cast<const void*>(a.get()),
                                  static_cast<const void*>(b.get()));
}

// For Abseil's hashing.
template <typename H, typename T>
H AbslHashValue(H state, const Ref<T>& ref) {
  return H::combine(std::move(state), static_cast<const void*>(ref.get()));
}

}  // namespace reef

template <typename T>
struct std::hash<reef::Ref<T>> {
  size_t operator()(const reef::Ref<T>& ref) const noexcept {
    return std::hash<const void*>()(ref.get());
  }
};

#endif  // REEF_REF_H_
