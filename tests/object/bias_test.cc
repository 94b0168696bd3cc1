// Bias by hand and by habit: Share, Adopt, and types whose objects travel.
#include "lib/object/bias.h"

#include <atomic>
#include <cstdint>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object::test {
namespace {

using namespace reef::internal;  // NOLINT(google-build-using-namespace): this file is about headers

class BiasTest : public ObjectTest {};

TEST_F(BiasTest, ShareMovesTheOnlyRootToShared) {
  Node* node = Make<Node>(&ends_);
  ShareUnique(Header::Of(node));
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 1, 0, kMerged}));
  EXPECT_EQ(OwnerOf(node), kNobody);
  Actor other;
  other.Do([=] { DropRoot(node); });
  EXPECT_EQ(ends_, 1) << "at once, where the last root was";
  EXPECT_EQ(CountPending(), 0u);
}

TEST_F(BiasTest, ShareOfAnObjectThatOthersReferToDoesNothing) {
  Node* twice = Make<Node>(&ends_);
  AddRoot(twice);
  ShareUnique(Header::Of(twice));
  EXPECT_EQ(Counts::Of(twice), (Counts{2, 0, 0, 0, 0}));
  Node* shared = Make<Node>(&ends_);
  Actor other;
  other.Do([=] { AddRoot(shared); });
  ShareUnique(Header::Of(shared));
  EXPECT_EQ(Counts::Of(shared), (Counts{1, 0, 1, 0, 0}));
}

TEST_F(BiasTest, AdoptMakesTheCallerTheOwner) {
  Node* node = Make<Node>(&ends_);
  ShareUnique(Header::Of(node));
  Actor other;
  other.Do([=] { AdoptUnique(Header::Of(node)); });
  EXPECT_EQ(OwnerOf(node), other.slot()->index + 1);
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, 0}));
  other.Do([=] { DropRoot(node); });
  EXPECT_EQ(ends_, 1);
}

TEST_F(BiasTest, AdoptTakesARevokedObject) {
  Node* node = Make<Node>(&ends_);
  AddRoot(node);
  Actor other;
  other.Do([=] { DropRoot(node); });
  EXPECT_FALSE(Settle());
  ASSERT_EQ(OwnerOf(node), kRevoking);
  AdoptUnique(Header::Of(node));
  EXPECT_EQ(Counts::Of(node), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(OwnerOf(node), CurrentSlot()->index + 1);
}

TEST_F(BiasTest, AdoptNeedsTheWholeWordToBeOneRoot) {
  Actor other;
  const auto adopt_fails = [&](auto prepare) {
    Node* node = Make<Node>(&ends_);
    ShareUnique(Header::Of(node));
    prepare(node);
    const Counts before = Counts::Of(node);
    other.Do([=] { AdoptUnique(Header::Of(node)); });
    EXPECT_EQ(Counts::Of(node), before);
    EXPECT_EQ(OwnerOf(node), kNobody);
  };
  adopt_fails([](Node* node) { AddRoot(node); });
  adopt_fails([](Node* node) { AddEdge(node); });
  for (const uint64_t flag : {kPublished, kWeak, kQueued, kImmortal, kSticky}) {
    adopt_fails([flag](Node* node) { (void)Header::Of(node)->SetFlags(flag); });
  }
}

TEST_F(BiasTest, NothingIsAdoptedWhileACollectionIsArmed) {
  Node* node = Make<Node>(&ends_);
  ShareUnique(Header::Of(node));
  const Armed armed(&core_);
  AdoptUnique(Header::Of(node));
  EXPECT_EQ(Counts::Of(node), (Counts{0, 0, 1, 0, kMerged}));
}

TEST_F(BiasTest, OwnedObjectIsNotAdopted) {
  Node* node = Make<Node>(&ends_);
  Actor other;
  other.Do([=] { AdoptUnique(Header::Of(node)); });
  EXPECT_EQ(OwnerOf(node), CurrentSlot()->index + 1);
}

TEST_F(BiasTest, CountReferencesAddsAllFields) {
  Node* node = Make<Node>(&ends_);
  AddEdge(node);
  Actor other;
  other.Do([=] {
    AddRoot(node);
    AddEdge(node);
  });
  EXPECT_EQ(CountReferences(Header::Of(node)), 4);
  other.Do([=] {
    DropRoot(node);
    DropRoot(node);  // queued
  });
  EXPECT_EQ(CountReferences(Header::Of(node)), 2);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(CountReferences(Header::Of(node)), 2);
}

TEST_F(BiasTest, BlockBytesIsTheClass) { EXPECT_EQ(BlockBytes(Header::Of(Make<Number>())), 24u); }

// Types of their own, because what a type has learnt stays.
struct Traveller {
  int64_t value = 0;
};
struct Returner {
  int64_t value = 0;
};
struct Homebody {
  int64_t value = 0;
};

template <typename T>
bool IsUnbiased() {
  return (TypeOf<T>::info.birth.load() & kBornUnbiased) != 0;
}

TEST_F(BiasTest, TypeWhoseObjectsDieElsewhereIsBornUnbiased) {
  (void)RegisterType(&TypeOf<Traveller>::info);
  Actor other;
  for (int i = 0; i < 1024; ++i) {
    EXPECT_FALSE(IsUnbiased<Traveller>()) << i;
    Traveller* object = Make<Traveller>();
    ASSERT_EQ(Counts::Of(object), (Counts{1, 0, 0, 0, 0}));
    other.Do([=] { DropRoot(object); });
  }
  EXPECT_TRUE(IsUnbiased<Traveller>());
  while (Settle()) {
  }
  // One in 64 is born biased, as a probe.
  int biased = 0;
  for (int i = 0; i < 640; ++i) {
    Traveller* object = Make<Traveller>();
    const Counts counts = Counts::Of(object);
    if (counts == Counts{1, 0, 0, 0, 0}) {
      ++biased;
    } else {
      EXPECT_EQ(counts, (Counts{0, 0, 1, 0, kMerged}));
      EXPECT_EQ(OwnerOf(object), kNobody);
    }
    DropRoot(object);
  }
  EXPECT_EQ(biased, 10);
}

TEST_F(BiasTest, TypeReturnsToBiasWhenItsProbesDieAtHome) {
  (void)RegisterType(&TypeOf<Returner>::info);
  TypeOf<Returner>::info.birth.fetch_or(kBornUnbiased);
  // Deaths of biased objects at home are sampled: each 64th counts for all.
  for (int i = 0; i < 64 * 1024 + 64 * 64 && IsUnbiased<Returner>(); ++i) {
    DropRoot(Make<Returner>());
  }
  EXPECT_FALSE(IsUnbiased<Returner>());
}

TEST_F(BiasTest, FewDeathsElsewhereChangeNothing) {
  Header* header = Header::Of(Make<Homebody>());
  for (int i = 0; i < 200; ++i) CountAwayDeath(header);
  for (int i = 0; i < 13; ++i) SampleHomeDeath(&TypeOf<Homebody>::info, kHomeSample);
  EXPECT_FALSE(IsUnbiased<Homebody>()) << "under a quarter of the window";
  EXPECT_EQ(TypeOf<Homebody>::info.away_deaths.load(), 0u) << "the window has closed";
  EXPECT_EQ(TypeOf<Homebody>::info.home_deaths.load(), 0u);
}

}  // namespace
}  // namespace reef::object::test
