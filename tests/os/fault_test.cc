// Fault points fail exactly where they are told to, and nowhere else.
#include "lib/os/fault.h"

#include <new>
#include <vector>

#include "gtest/gtest.h"

#include "lib/os/pages.h"

namespace reef::os {
namespace {

TEST(FaultTest, OnlyTheArmedPointsFail) {
  EXPECT_FALSE(IsFaultDue());
  ArmFaults(2, 3);
  std::vector<bool> due;
  for (int i = 0; i < 7; ++i) due.push_back(IsFaultDue());
  EXPECT_EQ(due, (std::vector<bool>{false, false, true, true, true, false, false}));
  EXPECT_EQ(DisarmFaults(), 7u);
  EXPECT_FALSE(IsFaultDue());
}

TEST(FaultTest, PointMayThrow) {
  EXPECT_NO_THROW(ThrowIfFaultDue());
  ArmFaults(1, 1);
  EXPECT_NO_THROW(ThrowIfFaultDue());
  EXPECT_THROW(ThrowIfFaultDue(), std::bad_alloc);
  EXPECT_EQ(DisarmFaults(), 2u);
}

TEST(FaultTest, ReserveIsAPoint) {
  ArmFaults(0, 1);
  EXPECT_EQ(Reserve(kPageBytes, kPageBytes), nullptr);
  void* page = Reserve(kPageBytes, kPageBytes);
  EXPECT_EQ(DisarmFaults(), 2u);
  ASSERT_NE(page, nullptr);
  Unmap(page, kPageBytes);
}

}  // namespace
}  // namespace reef::os
