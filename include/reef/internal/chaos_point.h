// Named yield points, for the build that tries to break the protocols (lib/os/chaos.h). In every
// other build they are nothing.
#ifndef REEF_INTERNAL_CHAOS_POINT_H_
#define REEF_INTERNAL_CHAOS_POINT_H_

#if defined(REEF_CHAOS) && REEF_CHAOS
#define REEF_CHAOS_POINT(name) ::reef::internal::ChaosPoint(name)
namespace reef::internal {
void ChaosPoint(const char* name);
}  // namespace reef::internal
#else
#define REEF_CHAOS_POINT(name) \
  do {                         \
  } while (false)
#endif

#endif  // REEF_INTERNAL_CHAOS_POINT_H_
