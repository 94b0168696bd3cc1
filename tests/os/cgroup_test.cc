// Limits of control groups, read from made-up trees: nested, missing, other namespaces', nonsense.
#include "lib/os/cgroup.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace reef::os {
namespace {

namespace fs = std::filesystem;

class CgroupTest : public testing::Test {
 protected:
  CgroupTest() {
    std::string name = (fs::temp_directory_path() / "reef_cgroup_XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~CgroupTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const fs::path file = root_ + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  void WriteGroups(const std::string& text) { Write("/proc/self/cgroup", text); }
  CgroupLimits Read() const { return ReadCgroupLimits(root_); }

  static constexpr uint64_t kNone = kNoCgroupLimit;
  std::string root_;
};

TEST_F(CgroupTest, NothingThereIsNoLimit) {
  EXPECT_EQ(Read(), CgroupLimits());
  WriteGroups("0::/a\n");
  EXPECT_EQ(Read(), CgroupLimits());
}

TEST_F(CgroupTest, Version2InANamespace) {
  WriteGroups("0::/\n");
  Write("/sys/fs/cgroup/memory.max", "1073741824\n");
  Write("/sys/fs/cgroup/memory.high", "max\n");
  EXPECT_EQ(Read(), (CgroupLimits{.max = 1073741824, .high = kNone}));
}

TEST_F(CgroupTest, TheLowestOfNestedGroupsCounts) {
  WriteGroups("0::/slice/service/worker\n");
  Write("/sys/fs/cgroup/slice/memory.max", "5000000\n");
  Write("/sys/fs/cgroup/slice/service/memory.max", "7000000\n");
  Write("/sys/fs/cgroup/slice/service/memory.high", "6000000\n");
  Write("/sys/fs/cgroup/slice/service/worker/memory.max", "max\n");
  Write("/sys/fs/cgroup/slice/service/worker/memory.high", "9000000\n");
  Write("/sys/fs/cgroup/slice/other/memory.max", "1\n");
  EXPECT_EQ(Read(), (CgroupLimits{.max = 5000000, .high = 6000000}));
}

TEST_F(CgroupTest, PathOfAnotherNamespaceFallsBackToTheMount) {
  Write("/sys/fs/cgroup/memory.max", "4000000\n");
  WriteGroups("0::/docker/0123456789abcdef\n");
  EXPECT_EQ(Read().max, 4000000u);
  WriteGroups("0::/../../other\n");
  Write("/sys/other/memory.max", "1\n");
  EXPECT_EQ(Read().max, 4000000u);
}

TEST_F(CgroupTest, Version1) {
  WriteGroups("12:cpu,cpuacct:/x\n7:hugetlb,memory:/job/1\n1:name=systemd:/y\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Read(), CgroupLimits());
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "123456789\n");
  Write("/sys/fs/cgroup/memory/job/1/memory.limit_in_bytes", "223456789\n");
  EXPECT_EQ(Read(), (CgroupLimits{.max = 123456789, .high = kNone}));
}

TEST_F(CgroupTest, BothVersionsAtOnce) {
  WriteGroups("5:memory:/a\n0::/b\n");
  Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000\n");
  Write("/sys/fs/cgroup/b/memory.max", "2000\n");
  EXPECT_EQ(Read().max, 2000u);
}

TEST_F(CgroupTest, NonsenseIsNoLimit) {
  WriteGroups("0::/\n");
  for (const char* text : {"", "\n", "lots\n", "-5\n", "12 monkeys\n", "0\n", "0x100\n", " 5\n",
                           "99999999999999999999999999\n", "1152921504606846976\n", "5.5\n"}) {
    Write("/sys/fs/cgroup/memory.max", text);
    EXPECT_EQ(Read(), CgroupLimits()) << text;
  }
  Write("/sys/fs/cgroup/memory.max", "4096");
  EXPECT_EQ(Read().max, 4096u);
}

TEST_F(CgroupTest, BrokenGroupListsAreSkipped) {
  Write("/sys/fs/cgroup/memory.max", "4096\n");
  for (const char* text : {"", "\n\n", "0", "0:", ":", "nonsense\n", "3:memoryx,xmemory:/\n"}) {
    WriteGroups(text);
    EXPECT_EQ(Read(), CgroupLimits()) << text;
  }
  WriteGroups("nonsense\n0::/\n:::::\n");
  EXPECT_EQ(Read().max, 4096u);
  WriteGroups("0::");
  EXPECT_EQ(Read().max, 4096u);
  WriteGroups("0::/" + std::string(10'000, 'x') + "\n");
  EXPECT_EQ(Read().max, 4096u);
}

TEST_F(CgroupTest, ThisProcessHasSensibleOnes) {
  const CgroupLimits limits = ReadCgroupLimits();
  EXPECT_GT(limits.max, uint64_t{1} << 20);
  EXPECT_GT(limits.high, uint64_t{1} << 20);
}

}  // namespace
}  // namespace reef::os
