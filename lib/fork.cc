#include "lib/fork.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>

#include "lib/collector/collector.h"
#include "lib/memory/heap_table.h"
#include "lib/object/door.h"
#include "lib/object/dying.h"
#include "lib/object/finalizer.h"
#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/object/type_registry.h"
#include "lib/os/clock.h"
#include "lib/os/fork.h"
#include "lib/os/membarrier.h"
#include "lib/threads/grace.h"
#include "lib/threads/hazard.h"
#include "lib/threads/late.h"
#include "lib/threads/log.h"
#include "lib/threads/lost.h"
#include "lib/threads/slot_registry.h"
#include "reef/internal/check.h"
#include "reef/internal/slot.h"

namespace reef {
namespace {

// How long a fork waits for destructors on the collector thread.
constexpr os::Nanoseconds kPatience = std::chrono::milliseconds(20);

// Several threads may fork at once.
constinit std::mutex g_forking;

// Mutexes under which others are taken, in the order in which they are taken; before the gate.
auto OuterMutexes() { return std::array{&internal::DefaultHeapMutex(), &collector::StartMutex()}; }

// Mutexes under which no other is taken.
auto InnerMutexes() {
  return std::array{&internal::SpareCoresMutex(),   &memory::HeapTableMutex(),
                    &threads::RegistryMutex(),      &threads::LateMutex(),
                    &internal::TypeRegistryMutex(), &internal::FinalizerRegistryMutex()};
}

void Hold() {
  g_forking.lock();
  for (std::mutex* mutex : OuterMutexes()) mutex->lock();
  os::ShutForkGate(kPatience);
  if (collector::IsStarted()) collector::HoldForFork();
  for (std::mutex* mutex : InnerMutexes()) mutex->lock();
  object::HoldReclaimer();
  threads::HoldGrace();
}

void Release() {
  threads::ReleaseGrace();
  object::ReleaseReclaimer();
  for (std::mutex* mutex : InnerMutexes()) mutex->unlock();
  if (collector::IsStarted()) collector::ReleaseAfterFork();
  for (std::mutex* mutex : OuterMutexes()) mutex->unlock();
}

void ContinueParent() {
  os::OpenForkGate();
  Release();
  g_forking.unlock();
}

// There is one thread. Relaxed stores throughout: later threads are created by it.
void BeginChild() {
  Release();
  g_forking.unlock();
  os::OpenForkGateInChild();
  if (!threads::IsRegistryStarted()) return;
  os::RenewMembarrier();
  internal::g_mode.store(threads::IdleMode(), std::memory_order_relaxed);
  threads::DiscardLogs();
  threads::ForgetHazards();
  internal::Slot* mine = internal::tls_slot;
  mine->tid.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
  threads::ForgetLate();
  threads::OrphanLostSlots(mine);
  object::OpenDoor();
  object::GatherLostFinalizers(mine);
  object::ForgetOthersInHand(mine);
  object::RecountRetired();
  object::RecountLeftOver();
  if (collector::IsStarted()) collector::BeginAsChild();
}

}  // namespace

bool HandleForks() {
  REEF_CHECK(pthread_atfork(&Hold, &ContinueParent, &BeginChild) == 0, "no memory to handle forks",
             "free some memory before the first use of Reef");
  return true;
}

}  // namespace reef
