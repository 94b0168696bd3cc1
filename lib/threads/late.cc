#include "lib/threads/late.h"

#include <pthread.h>

#include <atomic>
#include <cerrno>

#if defined(__SANITIZE_THREAD__)
#define REEF_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REEF_THREAD_SANITIZER 1
#endif
#endif
#ifndef REEF_THREAD_SANITIZER
#define REEF_THREAD_SANITIZER 0
#endif

namespace reef::threads {
namespace {

// The thread sanitizer takes a mutex that is held to a thread's end for an inversion of all others.
constexpr bool kAvailable = REEF_THREAD_SANITIZER == 0;
constexpr int kMostLate = 64;

struct Late {
  Slot* slot = nullptr;  // null: a free place
  pthread_mutex_t alive{};
};

// The places, under the mutex. Constant-initialised, never destroyed.
constinit std::mutex g_mutex;
constinit Late g_late[kMostLate];
// Relaxed: a hint that spares the look; a thread that has gone is found the next time.
std::atomic<int> g_count{0};

constinit thread_local Late* t_late = nullptr;

bool LockRobust(pthread_mutex_t* mutex) {
  pthread_mutexattr_t attributes;
  if (pthread_mutexattr_init(&attributes) != 0) return false;
  const bool locked = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
                      pthread_mutex_init(mutex, &attributes) == 0 && pthread_mutex_lock(mutex) == 0;
  (void)pthread_mutexattr_destroy(&attributes);
  return locked;
}

// The mutex is the caller's.
Slot* Free(Late* late) {
  (void)pthread_mutex_unlock(&late->alive);
  (void)pthread_mutex_destroy(&late->alive);
  Slot* slot = late->slot;
  late->slot = nullptr;
  g_count.fetch_sub(1, std::memory_order_relaxed);
  return slot;
}

}  // namespace

void EnterLate(Slot* slot) {
  if (!kAvailable) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  for (Late& late : g_late) {
    if (late.slot != nullptr) continue;
    if (!LockRobust(&late.alive)) return;
    late.slot = slot;
    t_late = &late;
    g_count.fetch_add(1, std::memory_order_relaxed);
    return;
  }
}

void LeaveLate() {
  if (t_late == nullptr) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  (void)Free(t_late);
  t_late = nullptr;
}

Slot* TakeLate() {
  if (g_count.load(std::memory_order_relaxed) == 0) return nullptr;
  const std::lock_guard<std::mutex> lock(g_mutex);
  for (Late& late : g_late) {
    if (late.slot == nullptr || pthread_mutex_trylock(&late.alive) != EOWNERDEAD) continue;
    (void)pthread_mutex_consistent(&late.alive);
    return Free(&late);
  }
  return nullptr;
}

std::mutex& LateMutex() { return g_mutex; }

void ForgetLate() {
  for (Late& late : g_late) late.slot = nullptr;
  g_count.store(0, std::memory_order_relaxed);
  t_late = nullptr;
}

}  // namespace reef::threads
