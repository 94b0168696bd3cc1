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

// The nothrow forms, and those of arrays, call these by the standard's default.
void* operator new(std::size_t bytes) {
  void* block = reef::test::IsNewToFail() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t whole = (bytes + unit - 1) / unit * unit;
  void* block = reef::test::IsNewToFail()
                    ? nullptr
                    : std::aligned_alloc(unit, whole + (whole == 0 ? unit : 0));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t /*bytes*/) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept { std::free(block); }
void operator delete(void* block, std::size_t /*bytes*/, std::align_val_t /*alignment*/) noexcept {
  std::free(block);
}
