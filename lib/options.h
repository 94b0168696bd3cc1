// Options: the one table of what a heap can be made with. It says for each option its field, its
// environment variable and its range; so a range is checked in the same way wherever a value comes
// from.
#ifndef REEF_LIB_OPTIONS_H_
#define REEF_LIB_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reef/heap.h"

namespace reef {

// The first option that is out of range, as InvalidArgument.
absl::Status CheckOptions(const HeapOptions& options);

// What a heap is made with: `given`, where the environment's variables replace what has its default
// value. Reads the environment anew at each call. InvalidArgument: an option out of range, a
// variable that cannot be read, or one that begins with REEF_ and is not known.
absl::StatusOr<HeapOptions> ResolveOptions(const HeapOptions& given);

// The names of all variables that Reef knows.
std::vector<std::string> EnvironmentVariables();
// How many fields of HeapOptions the table has.
int CountOptions();

}  // namespace reef

#endif  // REEF_LIB_OPTIONS_H_
