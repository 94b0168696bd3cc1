// AtomicWeak<T>: a weak handle that any number of threads read and replace without a lock.
//
//   reef::AtomicWeak<Session> latest;                   // a global, or a member of any class
//   latest.Store(session);                              // writers
//   if (reef::Ref<Session> live = latest.Lock()) {...}  // readers: load and upgrade in one
//   reef::Weak<Session> handle = latest.Load();         // or the handle itself
//
// One word wide; empty at first, and empty is a value. It keeps no object alive, and may lie inside
// managed objects, where Trace does not visit it. A handle whose object has died stays what it is:
// it compares equal to the other handles of that object, and its Lock is null for ever.
//
// Thread safety: all functions from any threads at once, but for constructor and destructor, which
// another thread's use of the handle must not meet: that is a data race.
// Order: Load and Lock acquire, Store releases, the others do both; not sequentially consistent,
// as reef/atomic.h says of its cells.
// Progress: lock-free. An operation repeats only when another thread has changed the word.
//
// The cell that the word leads to is pinned by a count in the word itself while a reader takes a
// handle (split reference counts: Anthony Williams, "C++ Concurrency in Action", 2012); no grace
// period is involved, so a reader that sleeps holds up nobody.
#ifndef REEF_ATOMIC_WEAK_H_
#define REEF_ATOMIC_WEAK_H_

#include <utility>

#include "reef/internal/atomic_cell.h"
#include "reef/ref.h"
#include "reef/weak.h"

namespace reef {

template <typename T>
class AtomicWeak {
 public:
  constexpr AtomicWeak() noexcept = default;
  explicit AtomicWeak(Weak<T> initial) noexcept : word_(initial.TakeCell()) {}
  // Not atomic: no other thread may use it any more.
  ~AtomicWeak() = default;
  AtomicWeak(const AtomicWeak&) = delete;
  AtomicWeak& operator=(const AtomicWeak&) = delete;

  // The present handle. What was written before its Store is visible.
  [[nodiscard]] Weak<T> Load() const noexcept { return Weak<T>::FromCell(word_.Load()); }
  // A root to the present handle's object, as Load().Lock(), at two exchanges less.
  [[nodiscard]] Ref<T> Lock() const noexcept {
    return Ref<T>::FromOwned(static_cast<T*>(word_.Lock()));
  }
  void Store(Weak<T> desired) noexcept { (void)Exchange(std::move(desired)); }
  // Replaces the handle and returns the former one.
  Weak<T> Exchange(Weak<T> desired) noexcept {
    return Weak<T>::FromCell(word_.Exchange(desired.TakeCell()));
  }
  // Stores `desired` if the present handle equals `expected`: is of the same object, alive or dead,
  // or empty like it. On failure loads the present handle into `expected`.
  bool CompareExchange(Weak<T>& expected, Weak<T> desired) noexcept {
    if (word_.CompareExchange(expected.cell_, desired.cell_)) {
      (void)desired.TakeCell();
      return true;
    }
    expected = Load();
    return false;
  }
  // The same; it never fails spuriously. For loops written against std::atomic.
  bool CompareExchangeWeak(Weak<T>& expected, Weak<T> desired) noexcept {
    return CompareExchange(expected, std::move(desired));
  }

 private:
  internal::AtomicCell word_;
};

}  // namespace reef

#endif  // REEF_ATOMIC_WEAK_H_
