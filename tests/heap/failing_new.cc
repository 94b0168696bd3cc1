#include "tests/heap/failing_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace reef::test {
namespace {

// Release when armed, acquire by the calls; the numbers are relaxed, as in lib/os/fault.cc.
std::atomic<bool> g_armed{false};
std::atomic<uint64_t> g_passed{0};
std::atomic<uint64_t> g_first{0};
std::atomic<uint64_t> g_count{0};

}  // namespace

bool IsNewToFail() {
  if (!g_armed.load(std::memory_order_acquire)) return false;
  const uint64_t number = g_passed.fetch_add(1, std::memory_order_relaxed);
  return number - g_first.load(std::memory_order_relaxed) < g_count.load(std::memory_order_relaxed);
}

void ArmNews(uint64_t first, uint64_t count) {
  g_first.store(first, std::memory_order_relaxed);
  g_count.store(count, std::memory_order_relaxed);
  g_passed.store(0, std::memory_order_relaxed);
  g_armed.store(true, std::memory_order_release);
}

uint64_t DisarmNews() {
  g_armed.store(false, std::memory_order_relaxed);
  return g_passed.load(std::memory_order_relaxed);
}

}  // namespace reef::test

namespace {

void* TakeOrNull(std::size_t bytes) noexcept {
  return reef::test::IsNewToFail() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
void* TakeOrNull(std::size_t bytes, std::align_val_t alignment) noexcept {
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t whole = bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
  return reef::test::IsNewToFail() ? nullptr : std::aligned_alloc(unit, whole);
}
void* OrThrow(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

// All forms: a sanitizer has forms of its own that do not lead to one another.
// NOLINTBEGIN(misc-new-delete-overloads)
using Size = std::size_t;
using Align = std::align_val_t;
using NoThrow = std::nothrow_t;

void* operator new(Size bytes) { return OrThrow(TakeOrNull(bytes)); }
void* operator new[](Size bytes) { return OrThrow(TakeOrNull(bytes)); }
void* operator new(Size bytes, const NoThrow&) noexcept { return TakeOrNull(bytes); }
void* operator new[](Size bytes, const NoThrow&) noexcept { return TakeOrNull(bytes); }
void* operator new(Size bytes, Align unit) { return OrThrow(TakeOrNull(bytes, unit)); }
void* operator new[](Size bytes, Align unit) { return OrThrow(TakeOrNull(bytes, unit)); }
void* operator new(Size bytes, Align unit, const NoThrow&) noexcept {
  return TakeOrNull(bytes, unit);
}
void* operator new[](Size bytes, Align unit, const NoThrow&) noexcept {
  return TakeOrNull(bytes, unit);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, Size) noexcept { std::free(block); }
void operator delete[](void* block, Size) noexcept { std::free(block); }
void operator delete(void* block, const NoThrow&) noexcept { std::free(block); }
void operator delete[](void* block, const NoThrow&) noexcept { std::free(block); }
void operator delete(void* block, Align) noexcept { std::free(block); }
void operator delete[](void* block, Align) noexcept { std::free(block); }
void operator delete(void* block, Size, Align) noexcept { std::free(block); }
void operator delete[](void* block, Size, Align) noexcept { std::free(block); }
void operator delete(void* block, Align, const NoThrow&) noexcept { std::free(block); }
void operator delete[](void* block, Align, const NoThrow&) noexcept { std::free(block); }
// NOLINTEND(misc-new-delete-overloads)
