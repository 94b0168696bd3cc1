// Vector<T>: a growing array of edges inside a managed object.
//
//   struct Node {
//     reef::Vector<Node> children;
//     void Trace(reef::Visitor& v) const { v.Visit(children); }
//   };
//
// Like std::vector<Member<T>>, but safe against the concurrent collector: the elements live in a
// buffer that is a traced object of its own, reached by one edge. Growth makes a new buffer, moves
// the edges (each logged for the collector in the bracket that moves it), then lets the old one go.
//
// Thread safety: as Member: writers and readers are synchronised by the program.
// Failure: growth throws OutOfMemory and leaves the vector as it was. Outside a managed object it
// aborts, in every build. A vector that was moved from is empty.
// User code that an operation runs (destructors of what it drops, on_limit when it takes memory)
// may change the vector: what it adds or removes counts, and the operation goes on from there.
#ifndef REEF_VECTOR_H_
#define REEF_VECTOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include "reef/internal/check.h"
#include "reef/internal/edge.h"
#include "reef/member.h"
#include "reef/ref.h"
#include "reef/trace.h"

namespace reef {
namespace internal {

// A managed array of edges: `capacity` of them follow the object. lib/vector.cc.
class EdgeBuffer {
 public:
  explicit EdgeBuffer(size_t capacity) noexcept;
  ~EdgeBuffer();
  EdgeBuffer(const EdgeBuffer&) = delete;
  EdgeBuffer& operator=(const EdgeBuffer&) = delete;

  // A buffer in the heap that `near` lies in, with a root that the caller owns. Throws OutOfMemory.
  static EdgeBuffer* Make(const void* near, size_t capacity);

  void Trace(Visitor& visitor) const;
  size_t capacity() const { return capacity_; }
  Edge* edges() { return reinterpret_cast<Edge*>(this + 1); }
  const Edge* edges() const { return reinterpret_cast<const Edge*>(this + 1); }

 private:
  // Written before LIVE, constant afterwards.
  const size_t capacity_;
};

}  // namespace internal

template <typename T>
class Vector {
 public:
  using value_type = Member<T>;
  using iterator = Member<T>*;
  using const_iterator = const Member<T>*;

  constexpr Vector() noexcept = default;
  Vector(const Vector& other) { CopyFrom(other); }
  Vector(Vector&& other) noexcept : size_(std::exchange(other.size_, 0)) {
    edge_.MoveFrom(other.edge_);
  }
  ~Vector() = default;
  Vector& operator=(const Vector& other) {
    if (this != &other) CopyFrom(other);
    return *this;
  }
  Vector& operator=(Vector&& other) noexcept {
    if (this != &other) {
      // `other` may go with what this vector held: all of it is taken first.
      size_ = std::exchange(other.size_, 0);
      edge_.MoveAssign(other.edge_);
    }
    return *this;
  }

  // 0 in the destructor of an object that a collection reclaims: its edges are gone by then.
  size_t size() const noexcept { return buffer() == nullptr ? 0 : size_; }
  bool empty() const noexcept { return size() == 0; }
  size_t capacity() const noexcept { return buffer() == nullptr ? 0 : buffer()->capacity(); }

  // Checked builds abort on an index out of range, as on front and back of an empty vector; in
  // others the behaviour is undefined.
  Member<T>& operator[](size_t index) noexcept {
    CheckIndex(index);
    return begin()[index];
  }
  const Member<T>& operator[](size_t index) const noexcept {
    CheckIndex(index);
    return begin()[index];
  }
  Member<T>& front() noexcept { return (*this)[0]; }
  const Member<T>& front() const noexcept { return (*this)[0]; }
  Member<T>& back() noexcept { return (*this)[size() - 1]; }
  const Member<T>& back() const noexcept { return (*this)[size() - 1]; }

  iterator begin() noexcept { return Elements(buffer()); }
  iterator end() noexcept { return begin() + size(); }
  const_iterator begin() const noexcept { return Elements(buffer()); }
  const_iterator end() const noexcept { return begin() + size(); }

  // Amortised O(1).
  void push_back(Ref<T> value) {
    // Again, should user code that growth has run have filled it.
    while (size() == capacity()) Grow(size() + 1);
    const size_t count = size();
    begin()[count] = std::move(value);
    size_ = count + 1;
  }
  // Nothing is removed from an empty vector; checked builds abort.
  void pop_back() noexcept {
    CheckIndex(0);
    if (empty()) return;
    --size_;
    begin()[size_].Reset();
  }
  // Removes the element at `index` by moving the last one there; the same beyond the end. O(1).
  void swap_remove(size_t index) noexcept {
    CheckIndex(index);
    if (index >= size()) return;
    const size_t last = size() - 1;
    if (index == last) {
      pop_back();
    } else {
      size_ = last;
      begin()[index] = std::move(begin()[last]);
    }
  }
  // New elements are empty.
  void resize(size_t count) {
    while (size() > count) pop_back();
    while (capacity() < count) Grow(count);
    if (size() < count) size_ = count;
  }
  void reserve(size_t capacity_wanted) {
    if (capacity_wanted > capacity()) Reallocate(capacity_wanted);
  }
  void shrink_to_fit() {
    if (empty()) {
      edge_.Reset();
    } else if (size() < capacity()) {
      Reallocate(size());
    }
  }
  // Drops all elements; the last first.
  void clear() noexcept {
    while (!empty()) pop_back();
  }

 private:
  friend struct internal::EdgeAccess;
  static_assert(sizeof(Member<T>) == sizeof(internal::Edge));

  internal::EdgeBuffer* buffer() const { return static_cast<internal::EdgeBuffer*>(edge_.Get()); }
  // A Member is an Edge and nothing else (asserted above).
  static Member<T>* Elements(internal::EdgeBuffer* buffer) {
    return buffer == nullptr ? nullptr : reinterpret_cast<Member<T>*>(buffer->edges());
  }
  void CheckIndex([[maybe_unused]] size_t index) const {
    REEF_DCHECK(index < size(), "reef::Vector index out of range", "check size() first");
  }
  // The elements of `other` in a new buffer; what was here goes last, `other` perhaps with it.
  void CopyFrom(const Vector& other) {
    size_t count = other.size();
    internal::EdgeBuffer* fresh = nullptr;
    if (count != 0) {
      fresh = internal::EdgeBuffer::Make(this, count);
      count = std::min(count, other.size());
      for (size_t i = 0; i < count; ++i) {
        fresh->edges()[i].Store(other.buffer()->edges()[i].Get());
      }
    }
    size_ = count;
    edge_.Adopt(fresh);
  }
  void Grow(size_t least) {
    size_t wanted = capacity() * 2;
    if (wanted < 4) wanted = 4;
    Reallocate(wanted < least ? least : wanted);
  }
  void Reallocate(size_t capacity_wanted) {
    internal::EdgeBuffer* fresh = internal::EdgeBuffer::Make(this, capacity_wanted);
    internal::EdgeBuffer* old = buffer();
    if (old == nullptr) size_ = 0;  // in the destructor of an object that a collection reclaims
    if (size() > fresh->capacity()) {
      // What has been added since the call has made more room than was asked for.
      (void)Ref<internal::EdgeBuffer>::FromOwned(fresh);
      return;
    }
    for (size_t i = 0; i < size(); ++i) fresh->edges()[i].MoveFrom(old->edges()[i]);
    edge_.Adopt(fresh);
  }

  internal::Edge edge_;
  size_t size_ = 0;
};

}  // namespace reef

#endif  // REEF_VECTOR_H_
