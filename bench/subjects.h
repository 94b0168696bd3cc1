// The subjects of the benchmarks: Reef, and what programs use in its place.
//
// A subject says how an object is made and what holds it:
//   Handle<T>   owns or shares a T; dropping it, or the last of its copies, destroys the T
//   Make<T>     makes a T
//   Edge<T>     a Handle<T> as a field of another object
// Each baseline exists over the memory of the C library and over mimalloc, in one process.
#ifndef REEF_BENCH_SUBJECTS_H_
#define REEF_BENCH_SUBJECTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <mimalloc.h>

#include "reef/reef.h"

// What stands between a case and a subject is no part of either.
#define BENCH_INLINE inline __attribute__((always_inline))

namespace bench {

// --- memory ---

struct Glibc {
  static void* Allocate(size_t bytes) { return ::operator new(bytes); }
  static void Free(void* block) { ::operator delete(block); }
};

struct Mimalloc {
  static void* Allocate(size_t bytes) { return mi_malloc(bytes); }
  static void Free(void* block) { mi_free(block); }
};

// For allocate_shared.
template <typename T, typename Memory>
class Allocator {
 public:
  using value_type = T;
  template <typename U>
  struct rebind {  // NOLINT(readability-identifier-naming): the standard's name
    using other = Allocator<U, Memory>;
  };

  Allocator() = default;
  template <typename U>
  Allocator(const Allocator<U, Memory>& /*other*/) {}  // NOLINT(google-explicit-constructor)
  T* allocate(size_t count) { return static_cast<T*>(Memory::Allocate(count * sizeof(T))); }
  void deallocate(T* block, size_t /*count*/) { Memory::Free(block); }
  friend bool operator==(const Allocator&, const Allocator&) { return true; }
};

template <typename T, typename Memory, typename... Args>
BENCH_INLINE T* New(Args&&... args) {
  return ::new (Memory::Allocate(sizeof(T))) T(std::forward<Args>(args)...);
}

template <typename T, typename Memory>
BENCH_INLINE void Delete(T* object) {
  object->~T();
  Memory::Free(object);
}

// --- intrusive counts ---

struct PlainCount {
  void Increment() { ++value; }
  bool Decrement() { return --value == 0; }
  int32_t value = 1;
};

struct AtomicCount {
  void Increment() { value.fetch_add(1, std::memory_order_relaxed); }
  bool Decrement() { return value.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  std::atomic<int32_t> value{1};
};

template <typename T, typename Memory, typename Count>
class IntrusivePtr {
 public:
  IntrusivePtr() = default;
  IntrusivePtr(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  IntrusivePtr(const IntrusivePtr& other) : block_(other.block_) {
    if (block_ != nullptr) block_->count.Increment();
  }
  IntrusivePtr(IntrusivePtr&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  IntrusivePtr& operator=(IntrusivePtr other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~IntrusivePtr() {
    if (block_ != nullptr && block_->count.Decrement()) Delete<Block, Memory>(block_);
  }

  template <typename... Args>
  BENCH_INLINE static IntrusivePtr Make(Args&&... args) {
    IntrusivePtr pointer;
    pointer.block_ = New<Block, Memory>(std::forward<Args>(args)...);
    return pointer;
  }

  T* get() const { return block_ == nullptr ? nullptr : &block_->object; }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  struct Block {
    template <typename... Args>
    explicit Block(Args&&... args) : object(std::forward<Args>(args)...) {}
    Count count;
    T object;
  };

  Block* block_ = nullptr;
};

// --- subjects ---

struct Reef {
  template <typename T>
  using Handle = reef::Ref<T>;
  template <typename T>
  using Edge = reef::Member<T>;
  template <typename T, typename... Args>
  BENCH_INLINE static Handle<T> Make(Args&&... args) {
    return reef::Make<T>(std::forward<Args>(args)...);
  }
};

// A plain pointer, deleted by hand.
template <typename Memory>
struct Raw {
  using Source = Memory;
  template <typename T>
  using Handle = T*;
  template <typename T>
  using Edge = T*;
  template <typename T, typename... Args>
  BENCH_INLINE static Handle<T> Make(Args&&... args) {
    return New<T, Memory>(std::forward<Args>(args)...);
  }
};

template <typename Memory>
struct Unique {
  struct Deleter {
    template <typename T>
    void operator()(T* object) const {
      Delete<T, Memory>(object);
    }
  };
  template <typename T>
  using Handle = std::unique_ptr<T, Deleter>;
  template <typename T>
  using Edge = Handle<T>;
  template <typename T, typename... Args>
  BENCH_INLINE static Handle<T> Make(Args&&... args) {
    return Handle<T>(New<T, Memory>(std::forward<Args>(args)...));
  }
};

template <typename Memory, typename Count>
struct Intrusive {
  template <typename T>
  using Handle = IntrusivePtr<T, Memory, Count>;
  template <typename T>
  using Edge = Handle<T>;
  template <typename T, typename... Args>
  BENCH_INLINE static Handle<T> Make(Args&&... args) {
    return Handle<T>::Make(std::forward<Args>(args)...);
  }
};

template <typename Memory>
struct Shared {
  template <typename T>
  using Handle = std::shared_ptr<T>;
  template <typename T>
  using Edge = Handle<T>;
  template <typename T, typename... Args>
  BENCH_INLINE static Handle<T> Make(Args&&... args) {
    return std::allocate_shared<T>(Allocator<T, Memory>(), std::forward<Args>(args)...);
  }
};

}  // namespace bench

#endif  // REEF_BENCH_SUBJECTS_H_
