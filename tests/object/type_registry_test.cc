// The type registry: an index for each type, once.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "reef/internal/type_info.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this file is about headers

template <int kNumber>
struct Numbered {
  int value = kNumber;
};

TEST(TypeRegistryTest, TypesHaveDifferentIndexesAndKeepThem) {
  const uint64_t one = RegisterType(&TypeOf<Numbered<1>>::info);
  const uint64_t two = RegisterType(&TypeOf<Numbered<2>>::info);
  EXPECT_NE(one, 0u);
  EXPECT_NE(one, two);
  EXPECT_EQ(RegisterType(&TypeOf<Numbered<1>>::info), one);
  EXPECT_EQ(TypeOf<Numbered<1>>::info.birth.load(), one);
  EXPECT_EQ(one & kBornUnbiased, 0u);
  EXPECT_EQ(static_cast<uint32_t>(one), 0u) << "the counts are the slot's part";
}

TEST(TypeRegistryTest, LeavesAreBornLiveInTheirColourAndTracedTypesAreNot) {
  const auto colour = [](uint64_t birth) { return birth >> kColourShift & 0xff; };
  const auto stage = [](uint64_t birth) { return static_cast<Stage>(birth >> kStageShift & 0xff); };
  const uint64_t trivial = RegisterType(&TypeOf<Numbered<5>>::info);
  EXPECT_EQ(colour(trivial), kTrivialLeafColour);
  EXPECT_EQ(stage(trivial), Stage::kLive);
  const uint64_t destroyed = RegisterType(&TypeOf<std::vector<int>>::info);
  EXPECT_EQ(colour(destroyed), kLeafColour);
  EXPECT_EQ(stage(destroyed), Stage::kLive);
  const uint64_t traced = RegisterType(&TypeOf<Node>::info);
  EXPECT_EQ((traced & ~kBornUnbiased) >> kColourShift, 0u) << "read from the heap at each birth";
}

// In one library types are told apart by their descriptors, whatever they are called: functions of
// two files may be of one name, and have a type of one name each.
TEST(TypeRegistryTest, TypesOfTwoLibrariesAreTheSameByTheirName) {
  static const char here = 0;
  static const char there = 0;
  const auto same = [](const char* name, const char* other, const void* library) {
    const auto info = [](const char* signature, const void* of) {
      return TypeInfo{.signature = signature,
                      .bytes = 8,
                      .alignment = 8,
                      .traced = false,
                      .trivial = true,
                      .trace = nullptr,
                      .destroy = nullptr,
                      .finalize = nullptr,
                      .library = of};
    };
    const TypeInfo a = info(name, &here);
    const TypeInfo b = info(other, library);
    return SameType(&a, &b);
  };
  EXPECT_TRUE(same("[T = server::Job]", "[T = server::Job]", &there));
  EXPECT_FALSE(same("[T = server::Job]", "[T = server::Job]", &here));
  EXPECT_FALSE(same("[T = server::Job]", "[T = server::Lob]", &there));
  EXPECT_FALSE(same("[T = {anonymous}::Job]", "[T = {anonymous}::Job]", &there));
  EXPECT_TRUE(SameType(&TypeOf<Node>::info, &TypeOf<Node>::info));
}

TEST(TypeRegistryTest, IndexLeadsToTheType) {
  const uint64_t birth = RegisterType(&TypeOf<Numbered<3>>::info);
  EXPECT_EQ(g_types[birth >> kTypeShift & 0xffff].load(), &TypeOf<Numbered<3>>::info);
  EXPECT_EQ(g_types[0].load(), nullptr) << "what a header of zeros names";
}

TEST(TypeRegistryTest, TypeInfoDescribesTheType) {
  EXPECT_TRUE(TypeOf<Node>::info.traced);
  EXPECT_FALSE(TypeOf<Node>::info.trivial);
  EXPECT_FALSE(TypeOf<Number>::info.traced);
  EXPECT_TRUE(TypeOf<Number>::info.trivial);
  EXPECT_EQ(TypeOf<Node>::info.bytes, sizeof(Node));
  EXPECT_EQ(TypeOf<Node>::info.alignment, alignof(Node));
}

TEST(TypeRegistryTest, ThreadsThatRegisterTogetherAgree) {
  constexpr size_t kThreads = 3;
  uint64_t births[kThreads];
  std::atomic<size_t> ready{0};
  std::vector<std::thread> threads;
  for (uint64_t& birth : births) {
    threads.emplace_back([&] {
      ++ready;
      while (ready.load() != kThreads) std::this_thread::yield();
      birth = RegisterType(&TypeOf<Numbered<4>>::info);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_NE(births[0], 0u);
  for (const uint64_t birth : births) EXPECT_EQ(birth, births[0]);
}

}  // namespace
}  // namespace reef::object::test
