// Control over a heap's collections, as Python's gc module: pausing them, pacing them, being told
// of them, and looking at what they find. The functions are Heap's; here is what they take and
// give.
//
//   { const reef::CollectionPause pause(heap);  ServeTheRequest(); }
//   reef::PacingOptions pacing = heap.Pacing();
//   pacing.growth_percent = 50;
//   absl::Status status = heap.SetPacing(pacing);
//   reef::CollectionCallback told =
//       heap.OnCollection([](const reef::CollectionEvent& event) { Log(event.number); });
#ifndef REEF_CONTROL_H_
#define REEF_CONTROL_H_

#include <cstdint>
#include <memory>
#include <utility>

namespace reef {

class Heap;

namespace collector {
class Callback;
class Control;
}  // namespace collector

// When collections start by themselves, and what they may take. The fields, their ranges and their
// defaults are those of HeapOptions. A change counts from the next collection on.
struct PacingOptions {
  int growth_percent = 100;
  uint64_t growth_bytes = uint64_t{8} << 20;
  int collector_cpu_percent = 25;
  int marker_threads = 1;
  bool operator==(const PacingOptions&) const = default;
};

// What collections of a heap show of their work; all off by default. Each costs time in proportion
// to what it shows.
struct DebugFlags {
  // A line on stderr for every collection (gc.DEBUG_STATS).
  bool print_statistics = false;
  // A line on stderr for every unreachable object: type, address, bytes (gc.DEBUG_COLLECTABLE).
  bool print_garbage = false;
  // Unreachable objects are not reclaimed but kept, until Heap::TakeGarbage hands them out
  // (gc.DEBUG_SAVEALL); their finalizers have run by then, weak handles still lock them. A
  // collection that finds no memory for the list gives up.
  bool keep_garbage = false;
  bool operator==(const DebugFlags&) const = default;
};

// While one lives, no collection of the heap starts by itself. Any number may live at once, on any
// threads; they leave what EnableCollection and DisableCollection have set as it is. A collection
// under way goes on (Heap::IsCollecting), Heap::Collect and an allocation that finds no memory
// still start one. Wait-free. May outlive the heap; if that ended with objects left, no collection
// of them starts before the pause has ended, too.
class CollectionPause {
 public:
  explicit CollectionPause(Heap& heap);
  ~CollectionPause();
  CollectionPause(const CollectionPause&) = delete;
  CollectionPause& operator=(const CollectionPause&) = delete;

 private:
  const std::shared_ptr<collector::Control> control_;
};

// The registration of a function with Heap::OnCollection; its end is the registration's. Once the
// destructor or Reset has returned, the function neither runs nor will run; so both wait for a call
// under way: called with a lock held that the function takes they wait for ever. In the function
// itself they do not wait. One handle is for one thread at a time. May outlive the heap, whose end
// ends the calls.
class [[nodiscard]] CollectionCallback {
 public:
  CollectionCallback() noexcept = default;
  ~CollectionCallback() { Reset(); }
  CollectionCallback(CollectionCallback&&) noexcept = default;
  // Ends the registration that was here, unless it is the same.
  CollectionCallback& operator=(CollectionCallback&& other) noexcept;

  // Ends the registration; does nothing if there is none.
  void Reset() noexcept;
  // True while a function is registered by this handle.
  explicit operator bool() const noexcept { return callback_ != nullptr; }

 private:
  friend class Heap;
  CollectionCallback(std::shared_ptr<collector::Control> control,
                     std::shared_ptr<collector::Callback> callback) noexcept
      : control_(std::move(control)), callback_(std::move(callback)) {}

  std::shared_ptr<collector::Control> control_;
  std::shared_ptr<collector::Callback> callback_;
};

}  // namespace reef

#endif  // REEF_CONTROL_H_
