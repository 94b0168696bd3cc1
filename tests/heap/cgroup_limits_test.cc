// A heap's limits where the process runs in control groups: a made-up tree of them.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "gtest/gtest.h"

#include "lib/os/cgroup.h"
#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class CgroupLimitsTest : public ::testing::Test {
 protected:
  CgroupLimitsTest() {
    std::string name = (fs::temp_directory_path() / "reef_limits_XXXXXX").string();
    root_ = mkdtemp(name.data());
    Write("/proc/self/cgroup", "0::/service\n");
    Write("/sys/fs/cgroup/service/memory.max", std::to_string(1000 * kMiB));
    os::g_cgroup_root = root_.c_str();
  }
  ~CgroupLimitsTest() override {
    os::g_cgroup_root = "";
    fs::remove_all(root_);
  }
  void Write(const std::string& path, const std::string& text) {
    const fs::path file = root_ + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  static HeapStats StatsOf(const HeapOptions& options) { return test::NewHeap(options)->Stats(); }

  std::string root_;
  HeapOptions options_ = test::QuietOptions();
};

TEST_F(CgroupLimitsTest, AreTheGroups) {
  const HeapStats stats = StatsOf(options_);
  EXPECT_EQ(stats.max_bytes, 950 * kMiB);
  EXPECT_EQ(stats.soft_limit_bytes, 800 * kMiB);
}

TEST_F(CgroupLimitsTest, AreHeld) {
  Write("/sys/fs/cgroup/service/memory.max", std::to_string(10 * kMiB));
  const std::unique_ptr<Heap> heap = test::NewHeap(options_);
  EXPECT_EQ(heap->TryAllocate(10 * kMiB), nullptr);
  EXPECT_FALSE(heap->TryAddExternalBytes(10 * kMiB).ok());
}

TEST_F(CgroupLimitsTest, AreNotThoseThatTheProgramSetsItself) {
  options_.max_bytes = 100 * kMiB;
  EXPECT_EQ(StatsOf(options_).max_bytes, 100 * kMiB);
  EXPECT_EQ(StatsOf(options_).soft_limit_bytes, 0u) << "not above the hard one";
  options_.soft_limit_bytes = 50 * kMiB;
  EXPECT_EQ(StatsOf(options_).soft_limit_bytes, 50 * kMiB);
  options_.max_bytes = 0;
  EXPECT_EQ(StatsOf(options_).soft_limit_bytes, 50 * kMiB);
  EXPECT_EQ(StatsOf(options_).max_bytes, 950 * kMiB);
  options_.soft_limit_bytes = 960 * kMiB;
  EXPECT_EQ(StatsOf(options_).soft_limit_bytes, 800 * kMiB) << "it would never act";
}

TEST_F(CgroupLimitsTest, AreNotAskedForWhereTheProgramSaysSo) {
  options_.respect_cgroup = false;
  const HeapStats stats = StatsOf(options_);
  EXPECT_EQ(stats.max_bytes, stats.reserved_bytes);
  EXPECT_EQ(stats.soft_limit_bytes, 0u);
}

}  // namespace
}  // namespace reef
