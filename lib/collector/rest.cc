#include "lib/collector/rest.h"

#include <algorithm>

#include "lib/object/retired.h"
#include "lib/object/revocation.h"
#include "lib/object/surplus.h"
#include "lib/os/bell.h"

namespace reef::collector {
namespace {

// For the bell's question, which takes no arguments. Collector thread.
bool (*g_has_request)() = nullptr;
uint64_t g_left_over = 0;  // entries left over before the last rest

bool HasUntriedWork() {
  return g_has_request() || object::HasSurplus() || object::CountUntried() != 0 ||
         object::CountLeftOver() > g_left_over;
}

}  // namespace

bool Rest::MayGoOn(bool (*has_request)()) {
  g_has_request = has_request;
  const uint64_t settled = object::CountSettled() + object::CountReclaimed();
  const bool may = settled != settled_ || HasUntriedWork();
  settled_ = settled;
  g_left_over = object::CountLeftOver();
  return may;
}

void Rest::FromSmallWork(bool (*has_request)()) {
  const bool stuck = !MayGoOn(has_request);
  nap_ = stuck ? std::min(2 * nap_, kLongestNap) : kShortestNap;
  if (stuck) {
    os::Doze(nap_, &HasUntriedWork);
  } else {
    os::Nap(nap_, has_request);
  }
}

}  // namespace reef::collector
