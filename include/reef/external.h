// ExternalBytes: says that an object owns memory which is not in its heap.
//
//   struct Tensor {
//     explicit Tensor(size_t n) : bytes(n * sizeof(float)), data(new float[n]) {}
//     reef::ExternalBytes bytes;       // before the memory: counted first, and until it is freed
//     std::unique_ptr<float[]> data;
//   };
//
// To the pacer such an object is as big as what it owns, so a cycle of small objects with large
// buffers is collected when the buffers have grown, not when the objects have. The bytes count
// towards the heap's limits (HeapOptions::max_bytes, soft_limit_bytes), and go back when the object
// is destroyed. (Python counts objects, and Java's direct buffers have a limit of their own; this
// is AdjustAmountOfExternalAllocatedMemory of V8, tied to the owner's life.)
//
// A member of a managed object, or of a part of one: the heap is found by its own address, so it is
// neither copied nor moved. Given bytes elsewhere (on a stack, in a buffer of a std container) it
// aborts in checked builds, and counts nothing in others. Eight bytes. One thread at a time, as any
// field; different ones from any threads. For memory that no single object owns:
// Heap::AddExternalBytes.
#ifndef REEF_EXTERNAL_H_
#define REEF_EXTERNAL_H_

#include <cstddef>

namespace reef {

class ExternalBytes {
 public:
  constexpr ExternalBytes() noexcept = default;
  // Throws OutOfMemory at the heap's hard limit, after the same efforts as an allocation: a
  // collection, then on_limit.
  explicit ExternalBytes(size_t bytes) { Resize(bytes); }
  // Cannot fail.
  ~ExternalBytes() { Resize(0); }
  ExternalBytes(const ExternalBytes&) = delete;
  ExternalBytes& operator=(const ExternalBytes&) = delete;

  // The object owns so many bytes from now on. Throws OutOfMemory as the constructor, if they are
  // more than before; nothing has changed then, but for what on_limit did. (It may resize this very
  // object.) O(heaps), an atomic addition.
  void Resize(size_t bytes);
  size_t bytes() const noexcept { return bytes_; }

 private:
  size_t bytes_ = 0;
};

}  // namespace reef

#endif  // REEF_EXTERNAL_H_
