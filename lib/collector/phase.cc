#include "reef/stats.h"

namespace reef {

const char* PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kArm:
      return "arm";
    case Phase::kRoots:
      return "roots";
    case Phase::kMark:
      return "mark";
    case Phase::kCondemn:
      return "condemn";
    case Phase::kClear:
      return "clear";
    case Phase::kFree:
      return "free";
  }
  return "?";
}

}  // namespace reef
