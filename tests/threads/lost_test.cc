// The slots of threads that a fork has cut off. The children here are made without the library's
// handlers, so that each test says itself what they do.
#include "lib/threads/lost.h"

#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "gtest/gtest.h"

#include "lib/threads/rendezvous.h"
#include "lib/threads/slot_registry.h"
#include "tests/threads/support.h"

namespace reef::threads {
namespace {

using internal::CurrentSlot;

// Runs `body` in a child; true if it says so there.
template <typename Body>
bool InChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    (void)alarm(30);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(LostTest, NothingThatALostThreadHeldIsWaitedFor) {
  Slot* mine = CurrentSlot();
  test::Actor other;
  Slot* slot = other.slot();
  alignas(16) static const char storage[internal::Header::kBytes] = {};
  const auto* header = reinterpret_cast<const internal::Header*>(storage);
  other.Do([&] {
    slot->seq.fetch_add(1);
    test::OpenScope(slot);
    slot->busy.store(header);
    slot->draining = true;
    slot->claims_sole = true;
    slot->user_code = 1;
  });
  EXPECT_FALSE(AnyLost());
  EXPECT_TRUE(InChild([&] {
    OrphanLostSlots(mine);
    Rendezvous();  // would wait for ever
    return AnyLost() && slot->seq.load() % 2 == 0 && slot->scope.load() % 2 == 0 &&
           slot->busy.load() == nullptr && !slot->draining && !slot->claims_sole &&
           slot->user_code == 0;
  }));
  other.Do([&] {
    slot->busy.store(nullptr);
    slot->draining = false;
    slot->claims_sole = false;
    slot->user_code = 0;
    test::CloseScope(slot);
    slot->seq.fetch_add(1);
  });
}

TEST(LostTest, LostSlotsAreOfferedOnceAndOthersStayWhereTheyAre) {
  Slot* mine = CurrentSlot();
  test::Actor first;
  test::Actor second;
  const std::set<Slot*> lost = {first.slot(), second.slot()};
  Slot* orphan = nullptr;
  {
    test::Actor ended;
    orphan = ended.slot();
  }
  Slot* one = first.slot();
  const uint32_t slab_owner = one->slab_owner;
  EXPECT_TRUE(InChild([&] {
    OrphanLostSlots(mine);
    std::set<Slot*> offered;
    while (Slot* slot = ClaimOrphan()) {
      if (!offered.insert(slot).second) return false;
    }
    for (Slot* slot : lost) {
      if (offered.count(slot) == 0 || !slot->emptied) return false;
    }
    return offered.count(orphan) == 1 && offered.count(mine) == 0 && one->slab_owner != slab_owner;
  }));
}

}  // namespace
}  // namespace reef::threads
