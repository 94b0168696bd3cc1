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

const char* CauseName(CollectionCause cause) {
  switch (cause) {
    case CollectionCause::kRequest:
      return "request";
    case CollectionCause::kAutomatic:
      return "automatic";
    case CollectionCause::kMemory:
      return "memory";
  }
  return "?";
}

}  // namespace reef
