// Weak<T>: a handle that does not keep its object alive.
//
//   reef::Weak<Account> weak = account;                       // any number of them, of any object
//   if (reef::Ref<Account> strong = weak.Lock()) { ... }      // a root, or null for ever
//   weak.With([](Account& account) { ... });                  // the same in one step
//
//   reef::WeakCallback<Account> watch(account, [] { ... });   // is called when the account dies
//
// One pointer wide; may live anywhere, inside managed objects too (Trace does not visit it), and
// outlive its heap. The object's memory is not kept: weak handles share a small cell, one for each
// object that has had any. Cells are raw blocks of the default heap, whichever the object's is:
// they count in its Stats().raw_blocks and towards its limits.
//
// A handle that was moved from, or made of an empty Ref, is empty: its Lock is null. All functions
// may be called of an empty handle.
//
// Thread safety: as Ref: different handles to one object from any threads, one handle object from
// one thread at a time (AtomicWeak is for several). Lock is lock-free and safe against the death of
// the object on any thread, and against the collector.
//
// Null is final: once a Lock of the object has returned null, no Lock returns it again, and nobody
// sees it alive. A Lock may revive an object that only a cycle, or nothing but its due finalizer,
// keeps. The order of a death is: finalizer (Lock still succeeds), weak handles cleared, callbacks
// newest first, destructor, members. Two things are different where a collection reclaims: all of
// its callbacks come before any destructor; and what an object refers to may be destroyed before
// it, which finds its edges null. And an executor runs callbacks when it likes, as a rule after the
// destructor.
//
// Follows Python's weakref; cells are the side tables of Swift.
#ifndef REEF_WEAK_H_
#define REEF_WEAK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/edge.h"
#include "reef/internal/weak_cell.h"
#include "reef/member.h"
#include "reef/ref.h"

namespace reef {

template <typename T>
class AtomicWeak;

template <typename T>
class Weak {
 public:
  using element_type = T;

  constexpr Weak() noexcept = default;
  constexpr Weak(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)
  // Of the object of a Ref or Member; empty if that is. The first of an object allocates its cell:
  // throws OutOfMemory when the default heap, or the process, has no memory for it. O(1). Aborts if
  // T is a base of U at a non-zero offset, as Ref does.
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Weak(const Ref<U>& ref)  // NOLINT(google-explicit-constructor)
      : cell_(CellOf(internal::UpCast<T>(ref.get()))) {}
  template <typename U>
    requires std::is_convertible_v<U*, T*>
  Weak(const Member<U>& member)  // NOLINT(google-explicit-constructor)
      : cell_(CellOf(internal::UpCast<T>(member.get()))) {}
  Weak(const Weak& other) noexcept : cell_(other.cell_) {
    if (cell_ != nullptr) internal::ShareCell(cell_);
  }
  Weak(Weak&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  ~Weak() {
    if (cell_ != nullptr) internal::ReleaseCell(cell_);
  }
  Weak& operator=(const Weak& other) noexcept {
    Weak(other).Swap(*this);
    return *this;
  }
  Weak& operator=(Weak&& other) noexcept {
    Weak(std::move(other)).Swap(*this);
    return *this;
  }

  // Of a managed object by its plain pointer, typically `this`. As Ref::FromManaged: somebody must
  // hold a reference to it; checked builds abort if it is not where a managed object starts, or if
  // that has a Trace and is in its constructor, and in other builds that is undefined. In its
  // destructor, and of null, the handle is empty. In the constructor of a leaf it is allowed; but
  // if that throws while another thread holds what it has locked, the process aborts.
  static Weak FromManaged(T* object) {
    Weak weak;
    if (object == nullptr) return weak;
    if (REEF_IS_CHECKED) internal::CheckManagedOrDying(object);
    weak.cell_ = CellOf(object);
    return weak;
  }

  // A root to the object, or null, for ever, if it is dead or dying or was never set. Lock-free.
  [[nodiscard]] Ref<T> Lock() const noexcept {
    if (cell_ == nullptr) return nullptr;
    return Ref<T>::FromOwned(static_cast<T*>(internal::LockCell(cell_)));
  }
  // Calls `function(object)` with the object kept alive meanwhile. False, and not called, if it is
  // gone. Passes on what the function throws.
  template <typename Function>
  bool With(Function&& function) const {
    const Ref<T> strong = Lock();
    if (!strong) return false;
    std::forward<Function>(function)(*strong);
    return true;
  }
  // True if a Lock would return null. Only true can be relied upon: false may be out of date when
  // it is read. For pruning containers of handles.
  bool IsKnownDead() const noexcept {
    return cell_ == nullptr || cell_->target.load(std::memory_order_relaxed) == nullptr;
  }

  void Reset() noexcept { Weak().Swap(*this); }
  void Swap(Weak& other) noexcept { std::swap(cell_, other.cell_); }

  // Handles are equal if they are of the same object, also after its death; empty ones are equal.
  friend bool operator==(const Weak& a, const Weak& b) noexcept { return a.cell_ == b.cell_; }
  template <typename H>
  friend H AbslHashValue(H state, const Weak& weak) {
    return H::combine(std::move(state), static_cast<const void*>(weak.cell_));
  }

 private:
  friend struct std::hash<Weak>;
  friend class AtomicWeak<T>;
  static internal::WeakCell* CellOf(const T* object) {
    return object == nullptr ? nullptr : internal::AcquireCell(object);
  }
  // The cell with the handle on it, which the caller now owns, and the other way round.
  internal::WeakCell* TakeCell() noexcept { return std::exchange(cell_, nullptr); }
  static Weak FromCell(internal::WeakCell* cell) noexcept {
    Weak weak;
    weak.cell_ = cell;
    return weak;
  }

  internal::WeakCell* cell_ = nullptr;
};

template <typename T>
Weak(const Ref<T>&) -> Weak<T>;

// A weak handle to the object `object`, typically `this`. See Weak::FromManaged.
template <typename T>
Weak<T> WeakTo(T* object) {
  return Weak<T>::FromManaged(object);
}

// How many weak handles there are to the object, those with callbacks included. As RefCount: exact
// while no other thread changes it, and below 2^31 handles. O(1).
template <typename T>
uint32_t WeakCount(const Ref<T>& ref) noexcept {
  return ref ? internal::CountHandles(internal::Header::Of(ref.get())) : 0;
}

// How many functions will be called when the object dies: those of WeakCallbacks, and of Finalizers
// that are alive. (Which handles there are nobody knows: a Weak is a value, written down nowhere.
// WeakCount counts them all.) A snapshot while other threads make and end such handles. Lock-free;
// O(callbacks there were at once).
template <typename T>
uint32_t CallbackCount(const Ref<T>& ref) noexcept {
  return ref ? internal::CountCallbacks(internal::Header::Of(ref.get())) : 0;
}

// A weak handle that has a function called when its object dies: after the weak handles have been
// cleared, before the destructor; newest first. Once; and not at all if this handle ended before
// the call started, or lies itself in a traced object that the same collection reclaims. (In a leaf
// or a std container that such an object owns it is called.)
//
// The function is called on the thread that drops the last reference, outside of the engine's
// operations, but for objects found by a collection: then on the collector thread; or by the heap's
// finalizer executor, which may be after the destructor. A death that comes late is the collector
// thread's as well, with what is said of that in reef/finalizer.h and reef/atomic.h. It must not
// wait for the end of this handle, nor collect. What it throws goes to the unraisable hook. The end
// of the handle does not wait for a call that has started. What the function captures ends with the
// call or the handle, for one that is not called with the garbage in which it lies; captures that
// keep the object alive keep it until then.
template <typename T>
class WeakCallback {
 public:
  WeakCallback() noexcept = default;
  // Throws OutOfMemory or std::bad_alloc. O(1), or O(callbacks the object had at once) while the
  // room of one that has ended is free: it is looked for, and taken again. (Where very many watch
  // one object and come and go, let one WeakCallback of it tell them all.) An empty Ref makes an
  // empty handle; so does one to an
  // object in its own destructor (RefTo; checked builds abort there). An empty function: checked
  // builds abort; others make a handle that calls nothing.
  WeakCallback(const Ref<T>& ref, std::function<void()> function) {
    if (!ref) return;
    REEF_DCHECK(function != nullptr, "a WeakCallback without a function",
                "for a handle that has nothing to call use reef::Weak");
    internal::WeakCell* cell = internal::AcquireCell(ref.get());
    if (cell == nullptr) return;  // by its own destructor
    try {
      record_ = internal::AddRecord(cell, "weak callback", std::move(function));
    } catch (...) {
      internal::ReleaseCell(cell);
      throw;
    }
    NotePlace();
  }
  WeakCallback(WeakCallback&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {
    NotePlace();
  }
  // The former handle ends; moved to itself, a handle stays as it is.
  WeakCallback& operator=(WeakCallback&& other) noexcept {
    WeakCallback moved(std::move(other));
    std::swap(record_, moved.record_);
    NotePlace();
    return *this;
  }
  WeakCallback(const WeakCallback&) = delete;
  WeakCallback& operator=(const WeakCallback&) = delete;
  ~WeakCallback() { Cancel(); }

  // As Weak::Lock.
  [[nodiscard]] Ref<T> Lock() const noexcept {
    if (record_ == nullptr) return nullptr;
    return Ref<T>::FromOwned(static_cast<T*>(internal::LockCell(record_->cell)));
  }
  // The function is not called any more, unless the call has started; the handle is empty, and a
  // second Cancel does nothing. The function itself may call it.
  void Cancel() noexcept {
    if (record_ != nullptr) internal::CancelRecord(std::exchange(record_, nullptr));
  }
  explicit operator bool() const noexcept { return record_ != nullptr; }

 private:
  // Relaxed: whoever moves a handle has it to himself.
  void NotePlace() {
    if (record_ != nullptr) record_->handle.store(this, std::memory_order_relaxed);
  }

  internal::WeakRecord* record_ = nullptr;
};

// A weakly bound member function, for observers: calls it if the object is alive.
//
//   auto on_tick = reef::WeakFunction(view, &View::Redraw);
//   bool called = on_tick(frame);
//
// Returns true if the object was alive; the function's result is dropped. Of an empty Ref: always
// false. `method` must be callable: a null pointer to a member is called as one.
template <typename T, typename Method>
auto WeakFunction(const Ref<T>& ref, Method method) {
  return [weak = Weak<T>(ref), method](auto&&... arguments) {
    return weak.With([&](T& object) {
      (void)std::invoke(method, object, std::forward<decltype(arguments)>(arguments)...);
    });
  };
}

}  // namespace reef

template <typename T>
struct std::hash<reef::Weak<T>> {
  size_t operator()(const reef::Weak<T>& weak) const noexcept {
    return std::hash<const void*>()(weak.cell_);
  }
};

#endif  // REEF_WEAK_H_
