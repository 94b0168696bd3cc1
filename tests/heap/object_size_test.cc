// Managed objects of many sizes and alignments: whole, aligned, and no larger than they must be.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

template <size_t kBytes>
struct Leaf {
  explicit Leaf(unsigned char value) { bytes.fill(value); }
  bool Holds(unsigned char value) const {
    for (const unsigned char byte : bytes) {
      if (byte != value) return false;
    }
    return true;
  }
  std::array<unsigned char, kBytes> bytes;
};

template <size_t kBytes>
struct Traced : Leaf<kBytes> {
  using Leaf<kBytes>::Leaf;
  void Trace(Visitor& v) const { v.Visit(next); }
  Member<Traced> next;
};

class ObjectSizeTest : public test::QuietHeapTest {
 protected:
  // Fills a slab or two with objects of T, and frees every other one in between.
  template <typename T>
  void CheckType() {
    const size_t count = std::min<size_t>(70'000 / sizeof(T), 200) + 5;
    std::vector<Ref<T>> objects;
    for (size_t i = 0; i < 2 * count; ++i) {
      objects.push_back(heap_->Make<T>(static_cast<unsigned char>(i)));
      ASSERT_EQ(reinterpret_cast<uintptr_t>(objects.back().get()) % alignof(T), 0u);
      if (i % 2 == 1) objects[i - 1].Reset();
    }
    for (size_t i = 1; i < objects.size(); i += 2) {
      ASSERT_TRUE(objects[i]->Holds(static_cast<unsigned char>(i))) << sizeof(T) << " bytes";
      const size_t needed = sizeof(T) + 16;
      ASSERT_GE(SizeOf(objects[i]), needed);
      if (needed <= 32'768) {
        ASSERT_LE(SizeOf(objects[i]), needed + needed / 8 + 8);
      } else {
        ASSERT_LE(SizeOf(objects[i]), needed + 65'536);
      }
    }
  }

  template <size_t... kBytes>
  void CheckSizes(std::index_sequence<kBytes...>) {
    (CheckType<Leaf<kBytes>>(), ...);
    (CheckType<Traced<kBytes>>(), ...);
  }
};

TEST_F(ObjectSizeTest, SmallSizes) {
  CheckSizes(std::index_sequence<1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 47, 48,
                                 49, 50, 56, 57, 63, 64, 65, 72, 80, 96, 100, 111, 112, 113>());
}

TEST_F(ObjectSizeTest, MediumSizes) {
  CheckSizes(std::index_sequence<127, 128, 129, 200, 239, 240, 241, 255, 256, 257, 500, 511, 512,
                                 513, 1000, 1007, 1008, 1009, 1024, 1025, 2031, 2032, 2033, 4000,
                                 4079, 4080, 4081, 4096, 4097>());
}

TEST_F(ObjectSizeTest, LargeSizes) {
  CheckSizes(std::index_sequence<5000, 8176, 8177, 10'000, 16'368, 16'369, 20'000, 28'656, 28'657,
                                 32'000, 32'751, 32'752, 32'753, 32'768, 32'769, 40'000, 65'519,
                                 65'520, 65'521, 65'536, 65'537, 100'000, 131'056, 131'057, 500'000,
                                 4'194'288, 4'194'304, 5'000'000>());
}

TEST_F(ObjectSizeTest, RunsHoldEdgesToo) {
  using Big = Traced<300'000>;
  {
    const Ref<Big> a = heap_->Make<Big>(static_cast<unsigned char>(1));
    a->next = heap_->Make<Big>(static_cast<unsigned char>(2));
    a->next->next = a;
    EXPECT_EQ(heap_->Collect().objects, 0u);
    EXPECT_TRUE(a->Holds(1));
    EXPECT_TRUE(a->next->Holds(2));
  }
  EXPECT_EQ(heap_->Collect().objects, 2u);
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

template <size_t kAlignment>
struct alignas(kAlignment) AlignedLeaf {
  explicit AlignedLeaf(Lives& lives) : life(lives) {}
  Life life;
  std::array<unsigned char, 3> tail{7, 8, 9};
};

template <size_t kAlignment>
struct alignas(kAlignment) AlignedTraced {
  explicit AlignedTraced(Lives& lives) : life(lives) {}
  void Trace(Visitor& v) const { v.Visit(next, leaf); }
  Life life;
  Member<AlignedTraced> next;
  Member<AlignedLeaf<kAlignment>> leaf;
};

template <typename T>
class AlignedTest : public test::QuietHeapTest {};
template <size_t kAlignment>
using Bytes = std::integral_constant<size_t, kAlignment>;
using Alignments = ::testing::Types<Bytes<8>, Bytes<16>, Bytes<32>, Bytes<64>, Bytes<128>,
                                    Bytes<256>, Bytes<512>, Bytes<1024>, Bytes<2048>, Bytes<4096>,
                                    Bytes<8192>, Bytes<16'384>, Bytes<32'768>, Bytes<65'536>>;
TYPED_TEST_SUITE(AlignedTest, Alignments);

TYPED_TEST(AlignedTest, PayloadsAreAligned) {
  using T = AlignedLeaf<TypeParam::value>;
  std::vector<Ref<T>> objects;
  for (int i = 0; i < 50; ++i) {
    objects.push_back(this->heap_->template Make<T>(this->lives_));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(objects.back().get()) % TypeParam::value, 0u);
    if (i % 3 == 0) objects.erase(objects.begin() + i / 3);
  }
  for (const Ref<T>& object : objects) ASSERT_EQ(object->tail[2], 9);
}

TYPED_TEST(AlignedTest, CyclesOfAlignedObjectsAreCollected) {
  using T = AlignedTraced<TypeParam::value>;
  {
    const Ref<T> a = this->heap_->template Make<T>(this->lives_);
    a->next = this->heap_->template Make<T>(this->lives_);
    a->next->next = a;
    a->leaf = this->heap_->template Make<AlignedLeaf<TypeParam::value>>(this->lives_);
    EXPECT_EQ(this->heap_->Collect().objects, 0u);
    EXPECT_EQ(a->leaf->tail[0], 7);
    EXPECT_EQ(RefCount(a), 3);
  }
  EXPECT_EQ(this->lives_.ended(), 0);
  (void)this->heap_->Collect();
  EXPECT_EQ(this->lives_.ended(), 3);
}

TYPED_TEST(AlignedTest, ObjectsMayDieOnAnotherThread) {
  using T = AlignedTraced<TypeParam::value>;
  std::vector<Ref<T>> objects;
  for (int i = 0; i < 20; ++i) {
    objects.push_back(this->heap_->template Make<T>(this->lives_));
    objects.back()->leaf = this->heap_->template Make<AlignedLeaf<TypeParam::value>>(this->lives_);
  }
  std::thread([&] { objects.clear(); }).join();
  EXPECT_TRUE(test::Eventually([&] { return this->lives_.now() == 0; }));
}

}  // namespace
}  // namespace reef
