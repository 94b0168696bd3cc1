// Threads: one thread replaces a configuration while others read it, and nobody waits.
//
// An AtomicRef is a name that threads may replace at any time. A reader opens a ReadScope and
// peeks. That touches no count, and what it sees stays valid until the scope ends, even when its
// successor is in place already.
#include <atomic>
#include <iostream>
#include <string>
#include <thread>

#include "reef/reef.h"

struct Config {
  int version;
  std::string greeting;
};

reef::Ref<Config> MakeConfig(int version) {
  return reef::Make<Config>(Config{version, "Hello from version " + std::to_string(version)});
}

int main() {
  constexpr int kVersions = 100'000;
  reef::AtomicRef<Config> current(MakeConfig(0));
  std::atomic<bool> done = false;

  std::thread writer([&] {
    for (int version = 1; version <= kVersions; ++version) current.Store(MakeConfig(version));
    done = true;
  });

  int64_t reads = 0;
  int64_t backwards = 0;  // a reader never sees an older version after a newer one
  for (int last = 0; !done; ++reads) {
    reef::ReadScope scope;
    const Config* config = current.Peek(scope);
    if (config->version < last || !config->greeting.ends_with(std::to_string(config->version))) {
      ++backwards;
    }
    last = config->version;
  }
  writer.join();

  std::cout << "One thread writes, one reads, nobody waits\n\n"
            << "  versions stored    " << kVersions << "\n"
            << "  reads meanwhile    " << reads << "\n"
            << "  reads gone wrong   " << backwards << "\n"
            << "  current greeting   " << current.Load()->greeting << "\n";

  current.Store(nullptr);
  reef::DefaultHeap().Collect();
  std::cout << "  versions left      " << reef::DefaultHeap().Stats().live_objects << "\n";
}
