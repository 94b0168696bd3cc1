// Exhaustion: what happens between the request that finds no memory and the error: an emergency
// collection and purge, another try, HeapOptions::on_limit, a last try.
#ifndef REEF_LIB_EXHAUSTION_H_
#define REEF_LIB_EXHAUSTION_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"

#include "lib/collector/collected_heap.h"
#include "lib/collector/emergency.h"
#include "reef/internal/slab.h"
#include "reef/stats.h"

namespace reef::internal {

// What is asked for: memory of the heap, or to count memory elsewhere.
enum class Wanted : uint8_t { kMemory, kExternal };

// An emergency, where the calling thread may wait for one and it can help.
collector::Relief RelieveHeap(HeapCore* core, Wanted wanted, uint64_t bytes);
// Calls on_limit, if there is one and this thread is not in one already, and returns what memory it
// has set free. False if there was nothing to call.
bool ReportLimit(HeapCore* core, uint64_t bytes, bool collected);

// Runs `take` until it yields something; null if nothing helps. Outside brackets.
template <typename Take>
auto TakeOrRelieve(HeapCore* core, Wanted wanted, uint64_t bytes, Take take) {
  auto taken = take();
  bool collected = false;
  // A second emergency only where the first has freed much, and others were quicker to take it.
  constexpr int kTries = 2;
  for (int i = 0; !taken && i < kTries; ++i) {
    const collector::Relief relief = RelieveHeap(core, wanted, bytes);
    collected = collected || relief != collector::Relief::kRefused;
    taken = take();
    if (relief != collector::Relief::kFreed) break;
  }
  if (!taken && ReportLimit(core, bytes, collected)) taken = take();
  return taken;
}

// Adds to a heap's external bytes. False at the hard limit.
bool AddExternal(HeapCore* core, uint64_t bytes);
// Takes from them; false, and nothing has happened, if there are not so many (which checked builds
// diagnose).
bool TakeExternal(HeapCore* core, uint64_t bytes);

using LimitFunction = std::function<void(const LimitReport&)>;
// Throws std::bad_alloc. No function: null.
std::shared_ptr<const LimitFunction> ShareFunction(LimitFunction function);
// From the next call on.
void SetOnLimit(collector::CollectedHeap* heap, std::shared_ptr<const LimitFunction> on_limit);

// ResourceExhausted, "<what> <bytes> <unit>". There may be no memory for the words: then it is the
// same error with fewer of them.
absl::Status Exhausted(const char* what, uint64_t bytes, const char* unit) noexcept;
absl::Status Exhausted(const char* what) noexcept;

}  // namespace reef::internal

#endif  // REEF_LIB_EXHAUSTION_H_
