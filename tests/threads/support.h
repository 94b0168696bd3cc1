// What the suites about threads share: threads that do as they are told, an armed collector, and
// headers that need no heap's allocator.
#ifndef REEF_TESTS_THREADS_SUPPORT_H_
#define REEF_TESTS_THREADS_SUPPORT_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "lib/memory/heap_table.h"
#include "lib/memory/space.h"
#include "lib/threads/log.h"
#include "lib/threads/rendezvous.h"
#include "reef/internal/check.h"
#include "reef/internal/header.h"
#include "reef/internal/slab.h"
#include "reef/internal/slot.h"

namespace reef::threads::test {

using internal::HeapCore;
using internal::Mode;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
inline constexpr size_t kScale = 1;
#else
inline constexpr bool kSanitized = false;
inline constexpr size_t kScale = REEF_IS_CHECKED ? 1 : 8;
#endif

// A thread that runs one step after another, when it is asked to.
class Actor {
 public:
  Actor() : thread_([this] { Loop(); }) {}
  ~Actor() { Join(); }
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  // Begins a step; Wait returns when it is done. Do is both.
  void Start(std::function<void()> step) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !step_; });
    step_ = std::move(step);
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !step_; });
  }
  void Do(std::function<void()> step) {
    Start(std::move(step));
    Wait();
  }
  // The slot of the actor's thread.
  internal::Slot* slot() {
    internal::Slot* slot = nullptr;
    Do([&slot] { slot = internal::CurrentSlot(); });
    return slot;
  }
  // Lets the thread end.
  void Join() {
    if (!thread_.joinable()) return;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !step_; });
      ending_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

 private:
  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return step_ || ending_; });
      if (!step_) return;
      lock.unlock();
      step_();
      lock.lock();
      step_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> step_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses the others
};

// A gate that is shut until opened, for a thread that must stay where it is.
class Gate {
 public:
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Opens or closes what a ReadScope of that thread would. By the slot's thread.
inline void OpenScope(internal::Slot* slot) {
  slot->scope.store(slot->scope.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (slot->fenced) (void)slot->scope.fetch_add(0, std::memory_order_seq_cst);
  internal::CompilerBarrier();
}
inline void CloseScope(internal::Slot* slot) {
  slot->scope.store(slot->scope.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// A collection of `core`, as far as other threads can tell.
class Armed {
 public:
  explicit Armed(HeapCore* core, Mode mode = Mode::kMarking) {
    internal::g_target.store(core);
    internal::g_mode.store(mode);
    Rendezvous();
  }
  ~Armed() {
    internal::g_mode.store(Mode::kIdle);
    Rendezvous();
    DiscardLogs();
  }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
};

// A heap's memory, and headers in it that no allocator knows of.
class Region {
 public:
  Region() {
    if (memory::EnterHeap(&core_) == 0) ADD_FAILURE() << "the heap table is full";
    space_ = memory::Space::Create(&core_, {.reserve_bytes = uint64_t{64} << 20});
    if (space_ == nullptr) ADD_FAILURE() << "no addresses for a space";
  }
  ~Region() { memory::RemoveHeap(&core_); }

  // The next header, LIVE and of that colour.
  internal::Header* NewHeader(uint8_t colour) {
    constexpr int kClass = internal::ClassOf(32);
    if (slab_ == nullptr || next_ == slab_->capacity) {
      slab_ = space_->TakeSlab(internal::SlabKind::kTraced, kClass);
      next_ = 0;
    }
    auto* header = reinterpret_cast<internal::Header*>(internal::SlabBase(slab_) + slab_->first +
                                                       size_t{next_++} * slab_->block_bytes);
    header->Bear((uint64_t{colour} << internal::kColourShift) |
                     (static_cast<uint64_t>(internal::Stage::kLive) << internal::kStageShift),
                 internal::kSharedInit);
    return header;
  }
  HeapCore* core() { return &core_; }
  memory::Space* space() { return space_.get(); }

 private:
  HeapCore core_;
  std::unique_ptr<memory::Space> space_;
  internal::Slab* slab_ = nullptr;
  uint32_t next_ = 0;
};

}  // namespace reef::threads::test

#endif  // REEF_TESTS_THREADS_SUPPORT_H_
