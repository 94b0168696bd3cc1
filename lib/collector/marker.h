// The marker: traces everything reachable while the program runs.
//
// It works in batches. Objects come off the mark stack, their headers are prefetched while the
// batch before is traced, then the white ones are coloured, published as hazards (I8) and, after
// their stage was checked, traced: LIVE and DYING through their Trace, BUILDING and DESTROYING by a
// scan of their payload word by word, because a constructor or destructor may be in the middle of
// it. Colouring a block that has been freed meanwhile is harmless: it is FREE, or reborn black.
//
// With several markers each has its own stack and hazard batch and shares chunks through the pool;
// two may then trace one object twice, which costs time only.
#ifndef REEF_LIB_COLLECTOR_MARKER_H_
#define REEF_LIB_COLLECTOR_MARKER_H_

#include <cstdint>

#include "lib/collector/mark_stack.h"
#include "lib/memory/space.h"
#include "lib/threads/hazard.h"

namespace reef::collector {

class Marker {
 public:
  // Called between batches, every millisecond or so: work that must not wait for the marking.
  using Poll = void (*)();

  Marker(const memory::Space& space, uint8_t black, int index, Poll poll);

  void Push(Header* header) { stack_.Push(header); }
  // Pushes the object if it belongs to the heap and is white. True if it did.
  bool PushIfWhite(Header* header);
  // Root scan: traces a frozen object, whose colour stays as it is, sooner or later; at the latest
  // in FlushFrozen. Once per collection each: it is never pushed.
  void AddFrozen(Header* header);
  void FlushFrozen();
  // Traces until the stack is empty (and, with a pool, until all markers' are).
  void Run(MarkPool* pool);

  bool Empty() const { return stack_.Empty(); }
  bool Failed() const { return stack_.Failed(); }
  uint64_t marked() const { return marked_; }
  // It scanned a payload word by word: what it kept by that may be garbage.
  bool conservative() const { return conservative_; }

 private:
  void Drain(MarkPool* pool);
  void TraceBatch(Header* const* objects, int count);
  void TraceObject(Header* header);
  void ScanPayload(Header* header);
  bool IsWhiteHere(const Header* header) const;

  const memory::Space& space_;
  const uintptr_t base_;
  const uint64_t bytes_;
  const uint8_t black_;
  const Poll poll_;
  threads::HazardBatch& hazards_;
  MarkStack stack_;
  uint64_t marked_ = 0;
  bool conservative_ = false;
  uint32_t batches_ = 0;
  Header* frozen_[threads::kHazardBatch];  // to be traced together
  int frozen_count_ = 0;
};

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_MARKER_H_
