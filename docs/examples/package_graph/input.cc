#include "docs/examples/package_graph/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace package_graph {
namespace {

constexpr char kAptCommand[] = "apt-cache dumpavail";
constexpr char kInstalled[] = "/var/lib/dpkg/status";

// Reads to the end; the error number, or 0.
int ReadAll(int file, std::string& text) {
  size_t size = 0;
  for (;;) {
    if (text.size() - size < (size_t{1} << 16)) text.resize(text.size() * 2 + (size_t{1} << 20));
    const ssize_t got = read(file, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return 0;
}

absl::Status SystemError(const std::string& path, const char* what, int error) {
  return absl::NotFoundError(absl::StrCat(path, ": ", what, ": ", std::strerror(error)));
}

absl::StatusOr<Input> ReadFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError(path, "cannot be opened", errno);
  struct stat about = {};
  Input input{path, ""};
  int error = fstat(file, &about) == 0 ? 0 : errno;
  // A device might never end. A pipe may: it is how a compressed list gets here.
  const bool is_readable = S_ISREG(about.st_mode) || S_ISFIFO(about.st_mode);
  if (error == 0 && is_readable) error = ReadAll(file, input.text);
  close(file);
  if (error != 0) return SystemError(path, "cannot be read", error);
  if (S_ISDIR(about.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory"));
  if (!is_readable) return absl::InvalidArgumentError(absl::StrCat(path, ": is not a file"));
  return input;
}

// What apt knows; empty where there is no apt, or it knows nothing.
Input RunApt() {
  Input input{kAptCommand, ""};
  FILE* pipe = popen(absl::StrCat(kAptCommand, " 2>/dev/null").c_str(), "re");
  if (pipe == nullptr) return input;
  if (ReadAll(fileno(pipe), input.text) != 0) input.text.clear();
  if (pclose(pipe) != 0) input.text.clear();
  return input;
}

absl::Status CheckText(const Input& input) {
  if (input.text.empty()) return absl::InvalidArgumentError(input.name + ": the file is empty");
  const size_t nul = input.text.find('\0');
  if (nul == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(input.name, ": is no package list: byte ", nul,
                                                 " is NUL; a compressed file goes through zcat"));
}

}  // namespace

absl::StatusOr<Input> ReadInput(const std::string& path) {
  absl::StatusOr<Input> input = path.empty() ? RunApt() : ReadFile(path);
  if (path.empty() && input->text.empty()) {
    input = ReadFile(kInstalled);
    if (!input.ok() || input->text.empty()) {
      return absl::NotFoundError(absl::StrCat("neither ", kAptCommand, " nor ", kInstalled,
                                              " lists any package; name a list yourself"));
    }
  }
  if (!input.ok()) return input;
  if (absl::Status status = CheckText(*input); !status.ok()) return status;
  return input;
}

}  // namespace package_graph
