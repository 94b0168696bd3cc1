// The mark stack: objects that the marker has reached and not yet looked at.
//
// A stack of chunks from the system, because its depth is bounded only by the heap. The top chunk
// is the Visitor's buffer, so tracing an edge is one store. When no memory can be had, entries are
// lost, Failed() says so, and the collection must be aborted. Chunks can be given away whole to
// other markers (MarkPool).
#ifndef REEF_LIB_COLLECTOR_MARK_STACK_H_
#define REEF_LIB_COLLECTOR_MARK_STACK_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "reef/internal/header.h"
#include "reef/trace.h"

namespace reef::collector {

using internal::Header;

struct MarkChunk {
  static constexpr uint32_t kEntries = 2046;
  MarkChunk* below = nullptr;
  Header** used_end = nullptr;  // of a chunk that is not on top
  Header* entries[kEntries];
};

// Full chunks that any marker may take, and the count of markers at work, which tells when marking
// has ended: no chunk here, and nobody who might produce one.
class MarkPool {
 public:
  ~MarkPool();
  // A marker takes part from here on, until TakeOrFinish returns null.
  void Join() { active_.fetch_add(1, std::memory_order_seq_cst); }
  void Give(MarkChunk* chunk);
  // A chunk, or null when marking has ended. A marker that calls it has nothing left itself.
  MarkChunk* TakeOrFinish();
  MarkChunk* TryTake();
  // Somebody waits for a chunk; relaxed, a hint.
  bool Hungry() const { return hungry_.load(std::memory_order_relaxed) > 0; }

 private:
  std::mutex mutex_;  // a chunk changes hands once per two thousand objects
  MarkChunk* chunks_ = nullptr;
  // Sequentially consistent: a marker leaves only if nobody active can still give.
  std::atomic<int> active_{0};
  std::atomic<int> hungry_{0};
};

class MarkStack : public Visitor {
 public:
  MarkStack();
  ~MarkStack();

  void Push(Header* header) {
    if (REEF_UNLIKELY(next_ == end_)) Grow();
    *next_++ = header;
  }
  // Up to `most` entries; 0 when empty.
  int Pop(Header** out, int most);
  bool Empty() const { return next_ == top_->entries && top_->below == nullptr; }
  bool Failed() const { return failed_; }

  // Gives the chunk below the top away, if there is one.
  void ShareWith(MarkPool& pool);
  // Makes a chunk from the pool the top. This stack is empty.
  void Adopt(MarkChunk* chunk);

 private:
  static void Flush(Visitor& visitor) { static_cast<MarkStack&>(visitor).Grow(); }
  void Grow();
  bool Shrink();

  MarkChunk* top_;
  MarkChunk* spare_ = nullptr;
  bool failed_ = false;
  MarkChunk first_;  // so that a stack can be made without memory
};

void FreeMarkChunk(MarkChunk* chunk);

}  // namespace reef::collector

#endif  // REEF_LIB_COLLECTOR_MARK_STACK_H_
