// Deaths that adaptive bias counts: one in so many where objects die by the short way, on any path.
#include <atomic>
#include <cstdint>

#include "gtest/gtest.h"

#include "lib/object/bias.h"
#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using internal::kHomeSample;

using SampledDeathTest = ObjectTest;

// A type of its own for its figures.
struct Sampled {
  explicit Sampled(std::atomic<int>* my_ends) : ends(my_ends) {}
  ~Sampled() { ends->fetch_add(1); }
  void Trace(Visitor& /*visitor*/) const {}
  std::atomic<int>* ends;
};
struct SampledLeaf {
  int64_t value = 0;
};
struct SampledHolder {
  void Trace(Visitor& visitor) const { visitor.Visit(edge); }
  Member<Sampled> edge;
};

TEST_F(SampledDeathTest, EverySixtyFourthPrivateDeathIsCounted) {
  Slot* slot = CurrentSlot();
  auto* holder = Make<SampledHolder>();
  auto& edge = const_cast<internal::Edge&>(internal::EdgeAccess::Of(holder->edge));
  const auto drop_root = [](Sampled* object) { DropRoot(object); };
  const auto drop_edge = [&edge](Sampled* object) {
    edge.Adopt(object);
    edge.Reset();
  };
  const std::atomic<uint32_t>& counted = internal::TypeOf<Sampled>::info.home_deaths;
  internal::TypeOf<Sampled>::info.home_deaths.store(0);
  slot->unsampled = kHomeSample;
  int deaths = 0;
  for (uint32_t window = 1; window <= 3; ++window) {
    for (uint32_t i = 1; i <= kHomeSample; ++i) {
      EXPECT_EQ(counted, (window - 1) * kHomeSample) << i;
      // Sampled deaths of both sorts: the first window ends with an edge's, the second with a
      // root's.
      if ((i + window) % 2 == 0) {
        drop_root(Make<Sampled>(&ends_));
      } else {
        drop_edge(Make<Sampled>(&ends_));
      }
      EXPECT_EQ(ends_, ++deaths);
    }
    EXPECT_EQ(counted, window * kHomeSample);
    EXPECT_EQ(slot->unsampled, kHomeSample);
  }
}

TEST_F(SampledDeathTest, EverySixtyFourthDeathOfATrivialLeafIsCounted) {
  std::atomic<uint32_t>& counted = internal::TypeOf<SampledLeaf>::info.home_deaths;
  counted.store(0);
  CurrentSlot()->unsampled = kHomeSample;
  for (uint32_t i = 1; i <= 3 * kHomeSample; ++i) {
    DropRoot(Make<SampledLeaf>());
    EXPECT_EQ(counted, i / kHomeSample * kHomeSample) << i;
    EXPECT_EQ(UsedBlocks(), 0u);
  }
}

// Also when a collection is armed, and with deaths of both sorts in turn: each is counted at least
// once, whichever path it takes.
TEST_F(SampledDeathTest, ArmedDeathsAreCountedAsWell) {
  std::atomic<uint32_t>& counted = internal::TypeOf<Sampled>::info.home_deaths;
  counted.store(0);
  CurrentSlot()->unsampled = kHomeSample;
  constexpr uint32_t kDeaths = 4 * kHomeSample;
  for (uint32_t i = 0; i < kDeaths / 16; ++i) {
    for (int k = 0; k < 8; ++k) DropRoot(Make<Sampled>(&ends_));
    const Armed armed(&core_);
    for (int k = 0; k < 8; ++k) DropRoot(Make<Sampled>(&ends_));
  }
  EXPECT_GE(counted, kDeaths);
  EXPECT_LE(CurrentSlot()->unsampled, kHomeSample);
  EXPECT_EQ(ends_, static_cast<int>(kDeaths));
}

}  // namespace
}  // namespace reef::object::test
