#include "lib/os/cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace reef::os {
namespace {

// Enough for any list of groups that the system writes; what is beyond is not looked at.
constexpr size_t kMostBytes = size_t{64} << 10;

// Empty if the file cannot be read.
std::string ReadFile(const std::string& path) {
  std::string text;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char part[4096];
  for (ssize_t got = 0; text.size() < kMostBytes && (got = read(file, part, sizeof(part))) > 0;) {
    text.append(part, static_cast<size_t>(got));
  }
  (void)close(file);
  return text;
}

// "max", version 1's largest page count, and everything that is no number: no limit. So is 0, under
// which no process runs.
uint64_t ReadLimit(const std::string& path) {
  constexpr uint64_t kSensible = uint64_t{1} << 60;
  const std::string text = ReadFile(path);
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || (stop != end && *stop != '\n')) return kNoCgroupLimit;
  return value == 0 || value >= kSensible ? kNoCgroupLimit : value;
}

// Calls `read(directory)` for the group and every group above it.
template <typename Read>
void ForEachGroup(const std::string& mount, std::string_view path, Read read) {
  // A group outside this namespace: only the mount's root is known to be above it.
  if (path.find("/..") != std::string_view::npos) path = "";
  for (;;) {
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    read(mount + std::string(path));
    if (path.empty()) return;
    const size_t slash = path.rfind('/');
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
}

bool HasMemory(std::string_view controllers) {
  while (!controllers.empty()) {
    const size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "memory") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

// One line, number:controllers:path.
void ReadGroup(const std::string& root, std::string_view line, CgroupLimits* limits) {
  const size_t first = line.find(':');
  const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
  if (second == std::string_view::npos) return;
  const std::string_view controllers = line.substr(first + 1, second - first - 1);
  const std::string_view path = line.substr(second + 1);
  const auto lower = [](uint64_t* limit, uint64_t value) { *limit = std::min(*limit, value); };
  if (controllers.empty()) {
    ForEachGroup(root + "/sys/fs/cgroup", path, [&](const std::string& group) {
      lower(&limits->max, ReadLimit(group + "/memory.max"));
      lower(&limits->high, ReadLimit(group + "/memory.high"));
    });
  } else if (HasMemory(controllers)) {
    ForEachGroup(root + "/sys/fs/cgroup/memory", path, [&](const std::string& group) {
      lower(&limits->max, ReadLimit(group + "/memory.limit_in_bytes"));
    });
  }
}

}  // namespace

CgroupLimits ReadCgroupLimits(const std::string& root) {
  CgroupLimits limits;
  const std::string text = ReadFile(root + "/proc/self/cgroup");
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    ReadGroup(root, rest.substr(0, end), &limits);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return limits;
}

}  // namespace reef::os
