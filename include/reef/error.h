// What Reef throws.
#ifndef REEF_ERROR_H_
#define REEF_ERROR_H_

#include <cstddef>
#include <new>
#include <stdexcept>

namespace reef {

// Memory is exhausted or the heap's limit is reached, and an emergency collection and purge did not
// help, or could not: where none may be waited for (in a ReadScope or a destructor), where user
// code holds the collector thread up, after several that freed next to nothing, and for more than
// the limit. The heap stays consistent and usable. Allocates nothing.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(size_t bytes) noexcept : bytes_(bytes) {}
  const char* what() const noexcept override {
    return "reef: out of memory (a collection could not help)";
  }
  // The payload bytes that were asked for; of external bytes those to be added, or all that an
  // ExternalBytes was to have.
  size_t bytes() const noexcept { return bytes_; }

 private:
  size_t bytes_;
};

// Heap::Collect was called where it would wait for itself: inside a ReadScope, or in a constructor,
// destructor, finalizer or callback (Heap::Collect lists them). Nothing has happened.
class CollectRefused : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace reef

#endif  // REEF_ERROR_H_
