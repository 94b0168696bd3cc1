// Hazards: what a batch holds, who looks at it, and that marker and destroyer never meet.
#include "lib/threads/hazard.h"

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/threads/support.h"

namespace reef::threads::test {
namespace {

using internal::Stage;

class HazardTest : public testing::Test {
 protected:
  void TearDown() override {
    SetMarkers(1);
    EXPECT_EQ(TakeHandedOver(), nullptr);
  }
  std::vector<Header*> NewHeaders(int count) {
    std::vector<Header*> headers;
    for (int i = 0; i < count; ++i) headers.push_back(region_.NewHeader(0));
    return headers;
  }

  Region region_;
};

TEST_F(HazardTest, BatchHoldsWhatWasPublishedUntilCleared) {
  HazardBatch& batch = HazardsOf(0);
  const std::vector<Header*> headers = NewHeaders(kHazardBatch + 1);
  batch.Publish(headers.data(), kHazardBatch);
  for (int i = 0; i < kHazardBatch; ++i) EXPECT_TRUE(batch.Holds(headers[static_cast<size_t>(i)]));
  EXPECT_FALSE(batch.Holds(headers.back()));
  batch.Clear();
  for (Header* header : headers) EXPECT_FALSE(batch.Holds(header));
}

TEST_F(HazardTest, SmallBatchesWork) {
  HazardBatch& batch = HazardsOf(0);
  const std::vector<Header*> headers = NewHeaders(2);
  batch.Publish(headers.data(), 0);
  EXPECT_FALSE(batch.Holds(headers[0]));
  batch.Clear();
  batch.Publish(headers.data(), 1);
  EXPECT_TRUE(batch.Holds(headers[0]));
  EXPECT_FALSE(batch.Holds(headers[1]));
  batch.Clear();
  EXPECT_FALSE(batch.Holds(headers[0]));
}

TEST_F(HazardTest, BatchesOfAllMarkersInUseAreLookedAt) {
  const std::vector<Header*> headers = NewHeaders(2);
  SetMarkers(2);
  HazardsOf(1).Publish(headers.data(), 1);
  EXPECT_TRUE(IsHazardous(headers[0]));
  EXPECT_FALSE(IsHazardous(headers[1]));
  SetMarkers(1);
  EXPECT_FALSE(IsHazardous(headers[0])) << "the second batch is not in use";
  SetMarkers(kMaxMarkers);
  EXPECT_TRUE(IsHazardous(headers[0]));
  HazardsOf(1).Clear();
  EXPECT_FALSE(IsHazardous(headers[0]));
}

TEST_F(HazardTest, HandedOverObjectsAreTakenOnce) {
  const std::vector<Header*> headers = NewHeaders(3);
  EXPECT_FALSE(AnyHandedOver());
  for (Header* header : headers) HandOver(header);
  EXPECT_TRUE(AnyHandedOver());
  std::set<Header*> taken;
  for (Header* header = TakeHandedOver(); header != nullptr; header = header->Link()) {
    EXPECT_TRUE(taken.insert(header).second);
  }
  EXPECT_EQ(taken, std::set<Header*>(headers.begin(), headers.end()));
  EXPECT_FALSE(AnyHandedOver());
  EXPECT_EQ(TakeHandedOver(), nullptr);
}

TEST_F(HazardTest, HandOverKeepsTheFlags) {
  Header* header = NewHeaders(1)[0];
  header->SetShared(internal::kSharedInit | internal::kDead | internal::kMerged);
  HandOver(header);
  EXPECT_EQ(header->Shared(std::memory_order_relaxed), internal::kDead | internal::kMerged);
  EXPECT_EQ(TakeHandedOver(), header);
}

TEST_F(HazardTest, ObjectsHandedOverByManyThreadsAreAllTaken) {
  constexpr size_t kThreads = 3;
  const size_t each = 2000 * kScale;
  const std::vector<Header*> headers = NewHeaders(static_cast<int>(kThreads * each));
  std::atomic<bool> stop{false};
  size_t taken = 0;
  std::thread taker([&] {
    bool last = false;
    do {
      last = stop.load();
      for (Header *header = TakeHandedOver(), *next; header != nullptr; header = next) {
        next = header->Link();
        header->SetLink(nullptr);
        ++taken;
      }
    } while (!last);
  });
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (size_t k = i * each; k < (i + 1) * each; ++k) HandOver(headers[k]);
    });
  }
  for (auto& thread : threads) thread.join();
  stop.store(true);
  taker.join();
  EXPECT_EQ(taken, kThreads * each);
}

// The marker goes through the objects, and the destroyer at its heels. Reading and destroying are
// plain accesses: that both never happen at a time is the protocol's work, and the race detector
// looks. Every object is either destroyed or handed over.
TEST_F(HazardTest, NoObjectIsTracedAndDestroyedAtATime) {
  const size_t count = 5000 * kScale;
  const std::vector<Header*> headers = NewHeaders(static_cast<int>(count));
  const auto payloads = std::make_unique<int[]>(count);
  std::atomic<int> ready{0};
  size_t saw_destroyed = 0;
  size_t traced = 0;
  size_t destroyed = 0;
  std::thread marker([&] {
    HazardBatch& batch = HazardsOf(0);
    ++ready;
    while (ready.load() != 2) {
    }
    for (size_t i = 0; i < count; ++i) {
      batch.Publish(&headers[i], 1);
      if (headers[i]->GetStageSequential() == Stage::kLive) {
        ++traced;
        if (payloads[i] != 0) ++saw_destroyed;
      }
      batch.Clear();
    }
  });
  std::thread destroyer([&] {
    ++ready;
    while (ready.load() != 2) {
    }
    for (size_t i = 0; i < count; ++i) {
      headers[i]->ExchangeStage(Stage::kDestroying);
      if (IsHazardous(headers[i])) {
        HandOver(headers[i]);
      } else {
        payloads[i] = 1;
        ++destroyed;
      }
    }
  });
  marker.join();
  destroyer.join();
  size_t handed_over = 0;
  for (Header* header = TakeHandedOver(); header != nullptr; header = header->Link()) ++handed_over;
  EXPECT_EQ(saw_destroyed, 0u);
  EXPECT_EQ(destroyed + handed_over, count);
}

}  // namespace
}  // namespace reef::threads::test
