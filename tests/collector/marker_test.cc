// The marker: what it traces, what it scans, what it passes over, and the borders of its batches.
#include "lib/collector/marker.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/thread_cache.h"
#include "reef/atomic_marked.h"
#include "reef/internal/marked_word.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

using internal::Slab;
using internal::SlabKind;
using internal::SlabOf;
using internal::Stage;

// Fills its block with words of which its Trace says nothing.
struct Words {
  void Trace(Visitor& /*visitor*/) const {}
  std::array<uintptr_t, 6> words{};
};

struct Pair {
  void Trace(Visitor& visitor) const { visitor.Visit(first, second); }
  AtomicMarkedMember<Node> first;
  AtomicMarkedMember<Node> second;
};

// Says, when it is traced, whether the marker has published it.
struct Watcher {
  void Trace(Visitor& /*visitor*/) const {
    last = Header::Of(this);
    if (threads::HazardsOf(batch).Holds(last)) ++covered;
  }
  static inline int batch = 0;
  static inline int covered = 0;
  static inline const Header* last = nullptr;
};

uintptr_t AddressOf(const void* payload) { return reinterpret_cast<uintptr_t>(payload); }

class MarkerTest : public CollectorTest {
 protected:
  static constexpr uint8_t kBlack = 9;

  template <typename T>
  static bool IsBlack(const T* payload) {
    return Header::Of(payload)->Colour() == kBlack;
  }
  // Marks from one object, with a marker of its own.
  struct Outcome {
    uint64_t marked = 0;
    bool conservative = false;
    bool operator==(const Outcome&) const = default;
  };
  Outcome MarkFrom(void* payload) {
    Marker marker(space(), kBlack, 0, &NoPoll);
    marker.Push(Header::Of(payload));
    EXPECT_FALSE(marker.Empty());
    marker.Run(nullptr);
    EXPECT_TRUE(marker.Empty());
    EXPECT_FALSE(marker.Failed());
    return {marker.marked(), marker.conservative()};
  }
};

TEST_F(MarkerTest, LivingAndDyingObjectsAreTraced) {
  for (const Stage stage : {Stage::kLive, Stage::kDying}) {
    Node* parent = NewNode();
    Node* child = NewNode();
    Node* unvisited = NewNode();
    Point(parent->next, child);
    // A word that is no edge: only a scan would find it.
    parent->ends = reinterpret_cast<std::atomic<int>*>(unvisited);
    Header::Of(parent)->SetStage(stage);
    EXPECT_EQ(MarkFrom(parent), (Outcome{2, false}));
    EXPECT_TRUE(IsBlack(parent));
    EXPECT_TRUE(IsBlack(child));
    EXPECT_FALSE(IsBlack(unvisited));
    Header::Of(parent)->SetStage(Stage::kLive);
    parent->ends = nullptr;
  }
}

TEST_F(MarkerTest, FirstAndLastWordOfAHalfMadeObjectAreScanned) {
  for (const Stage stage : {Stage::kBuilding, Stage::kDestroying}) {
    Words* half = New<Words>();
    ASSERT_EQ(SlabOf(Header::Of(half))->block_bytes, Header::kBytes + sizeof(Words));
    Node* first = NewNode();
    Node* last = NewNode();
    Node* grandchild = NewNode();
    Point(last->next, grandchild);
    half->words.front() = AddressOf(first);
    half->words.back() = AddressOf(last);
    Header::Of(half)->SetStage(stage);
    EXPECT_EQ(MarkFrom(half), (Outcome{4, true}));
    EXPECT_TRUE(IsBlack(first));
    EXPECT_TRUE(IsBlack(last));
    EXPECT_TRUE(IsBlack(grandchild)) << "what a scan finds is traced";
    Header::Of(half)->SetStage(Stage::kLive);
  }
}

TEST_F(MarkerTest, MarkedWordsOfAHalfMadeObjectAreEdges) {
  for (const Stage stage : {Stage::kBuilding, Stage::kDestroying}) {
    for (uint32_t mark = 0; mark <= internal::kMarkBits; ++mark) {
      Words* half = New<Words>();
      Node* target = NewNode();
      half->words[3] = AddressOf(internal::WithMark(target, mark));
      half->words[4] = mark;  // nothing, marked
      Header::Of(half)->SetStage(stage);
      EXPECT_EQ(MarkFrom(half), (Outcome{2, true}));
      EXPECT_TRUE(IsBlack(target)) << "mark " << mark;
      Header::Of(half)->SetStage(Stage::kLive);
    }
  }
}

TEST_F(MarkerTest, MarkedEdgesAreFollowed) {
  for (uint32_t mark = 0; mark <= internal::kMarkBits; ++mark) {
    Pair* pair = New<Pair>();
    Node* target = NewNode();
    pair->first.Store(Ref<Node>::FromOwned(target), mark);
    pair->second.Store(nullptr, mark);
    EXPECT_EQ(MarkFrom(pair), (Outcome{2, false}));
    EXPECT_TRUE(IsBlack(target)) << "mark " << mark;
  }
}

TEST_F(MarkerTest, ScanTakesOnlyWordsThatNameAnObjectOfItsHeap) {
  threads::test::Region elsewhere;
  Header* foreign = elsewhere.NewHeader(1);
  Node* inside = NewNode();
  Node* before = NewNode();
  internal::Slot* slot = internal::CurrentSlot();
  void* raw = memory::Refill(slot, heap_.space.get(), SlabKind::kRaw, internal::ClassOf(64));
  ASSERT_NE(raw, nullptr);
  internal::UnpoisonBlock(raw);
  std::memset(raw, 0, 64);
  const Slab* slab = SlabOf(Header::Of(inside));
  ASSERT_LT(slab->carved.load(), slab->capacity);
  const uintptr_t untouched =
      AddressOf(internal::SlabBase(slab)) + slab->first + slab->carved.load() * slab->block_bytes;

  Words* half = New<Words>();
  half->words = {AddressOf(inside) + 8,           AddressOf(Header::Of(before)),
                 AddressOf(raw) + Header::kBytes, AddressOf(foreign->Payload()),
                 untouched + Header::kBytes,      AddressOf(space().base())};
  Header::Of(half)->SetStage(Stage::kBuilding);
  EXPECT_EQ(MarkFrom(half), (Outcome{1, true}));
  EXPECT_FALSE(IsBlack(inside)) << "a pointer into the middle";
  EXPECT_FALSE(IsBlack(before)) << "a pointer to the header";
  EXPECT_EQ(foreign->Colour(), 1);
  EXPECT_EQ(static_cast<Header*>(raw)->Colour(), 0) << "bytes of the program's";
  EXPECT_EQ(reinterpret_cast<Header*>(untouched)->Colour(), 0);
  Header::Of(half)->SetStage(Stage::kLive);
}

TEST_F(MarkerTest, ScanLeavesBlocksOfLeavesAlone) {
  auto* leaf = New<object::test::Number>();
  const Slab* slab = SlabOf(Header::Of(leaf));
  ASSERT_GT(slab->carved.load(), 1u);
  // The neighbour was carved, and no object has ever been there.
  auto* unborn =
      reinterpret_cast<Header*>(reinterpret_cast<char*>(Header::Of(leaf)) + slab->block_bytes);
  ASSERT_EQ(StageOf(unborn->Payload()), Stage::kFree);
  ASSERT_EQ(unborn->Colour(), 0);
  Words* half = New<Words>();
  half->words = {AddressOf(unborn->Payload()), AddressOf(leaf)};
  Header::Of(half)->SetStage(Stage::kBuilding);
  EXPECT_EQ(MarkFrom(half), (Outcome{1, true}));
  EXPECT_EQ(unborn->Colour(), 0) << "a leaf may be born there at any moment";
  EXPECT_EQ(Header::Of(leaf)->Colour(), internal::kTrivialLeafColour);
  Header::Of(half)->SetStage(Stage::kLive);
}

TEST_F(MarkerTest, FreeBlockIsNeitherTracedNorScanned) {
  Node* freed = NewNode();
  Node* child = NewNode();
  Point(freed->next, child);
  Header::Of(freed)->SetStage(Stage::kFree);
  EXPECT_FALSE(MarkFrom(freed).conservative);
  EXPECT_FALSE(IsBlack(child));
  EXPECT_EQ(StageOf(freed), Stage::kFree);
  Header::Of(freed)->SetStage(Stage::kLive);
}

TEST_F(MarkerTest, BlackObjectIsNotTracedAgain) {
  Node* parent = NewNode();
  Node* child = NewNode();
  Point(parent->next, child);
  Header::Of(parent)->SetColour(kBlack);
  EXPECT_EQ(MarkFrom(parent), (Outcome{0, false}));
  EXPECT_FALSE(IsBlack(child));
}

TEST_F(MarkerTest, ObjectReachedManyTimesIsMarkedOnce) {
  Node* one = NewNode();
  Node* two = NewNode();
  Point(one->next, two);
  Point(one->other, two);
  Point(two->next, one);
  Point(two->other, two);
  Marker marker(space(), kBlack, 0, &NoPoll);
  for (int i = 0; i < 100; ++i) marker.Push(Header::Of(i % 2 == 0 ? one : two));
  marker.Run(nullptr);
  EXPECT_EQ(marker.marked(), 2u);
}

TEST_F(MarkerTest, EdgesToOtherHeapsObjectsAndToLeavesEndThere) {
  threads::test::Region elsewhere;
  Header* foreign = elsewhere.NewHeader(1);
  auto* leaf = New<object::test::Number>();
  Node* node = NewNode();
  EdgeOf(node->next).cell().store(foreign->Payload());
  EdgeOf(node->other).cell().store(leaf);
  EXPECT_EQ(MarkFrom(node), (Outcome{1, false}));
  EXPECT_EQ(foreign->Colour(), 1);
  EXPECT_EQ(Header::Of(leaf)->Colour(), internal::kTrivialLeafColour);
  EdgeOf(node->next).cell().store(nullptr);
  EdgeOf(node->other).cell().store(nullptr);
}

TEST_F(MarkerTest, EveryColourIsWhiteButBlackAndThoseOfLeaves) {
  Header* header = Header::Of(NewNode());
  Marker marker(space(), kBlack, 0, &NoPoll);
  for (int colour = 0; colour <= 255; ++colour) {
    header->SetColour(static_cast<uint8_t>(colour));
    const bool white = colour != kBlack && colour <= internal::kMaxColour;
    EXPECT_EQ(marker.PushIfWhite(header), white) << colour;
  }
  header->SetColour(1);
  marker.Run(nullptr);
  EXPECT_EQ(marker.marked(), 1u);
}

TEST_F(MarkerTest, AddressesJustOutsideTheHeapAreNotRead) {
  Marker marker(space(), kBlack, 0, &NoPoll);
  char* base = space().base();
  EXPECT_FALSE(marker.PushIfWhite(reinterpret_cast<Header*>(base - Header::kBytes)));
  EXPECT_FALSE(marker.PushIfWhite(reinterpret_cast<Header*>(base + space().reserved_bytes())));
  EXPECT_FALSE(marker.PushIfWhite(nullptr));
  EXPECT_TRUE(marker.Empty());
}

TEST_F(MarkerTest, BordersOfBatchesLoseNothing) {
  for (const uint64_t count : {1u, 31u, 32u, 33u, 63u, 64u, 65u, 97u}) {
    Marker marker(space(), kBlack, 0, &NoPoll);
    std::vector<Node*> nodes;
    for (uint64_t i = 0; i < count; ++i) {
      Node* parent = NewNode();
      nodes.push_back(parent);
      nodes.push_back(NewNode());
      Point(parent->next, nodes.back());
      marker.Push(Header::Of(parent));
    }
    marker.Run(nullptr);
    EXPECT_EQ(marker.marked(), 2 * count);
    for (const Node* node : nodes) {
      ASSERT_TRUE(IsBlack(node)) << count;
      ASSERT_FALSE(threads::HazardsOf(0).Holds(Header::Of(node))) << count;
    }
  }
}

TEST_F(MarkerTest, ObjectsArePublishedWhileTheyAreTraced) {
  Watcher::batch = 3;
  for (const int count : {1, 31, 32, 33}) {
    Marker marker(space(), kBlack, Watcher::batch, &NoPoll);
    std::vector<Header*> headers;
    for (int i = 0; i < count; ++i) {
      headers.push_back(Header::Of(New<Watcher>()));
      marker.Push(headers.back());
    }
    Watcher::covered = 0;
    marker.Run(nullptr);
    EXPECT_EQ(Watcher::covered, count);
    for (const Header* header : headers) {
      EXPECT_FALSE(threads::HazardsOf(Watcher::batch).Holds(header));
    }
  }
}

// What the poll found when it was called.
int g_polls = 0;
int g_polls_under_hazards = 0;
void WatchfulPoll() {
  ++g_polls;
  if (threads::HazardsOf(0).Holds(Watcher::last)) ++g_polls_under_hazards;
}

TEST_F(MarkerTest, PollIsCalledBetweenBatchesWithNothingPublished) {
  constexpr int kCount = 8'192;
  std::vector<Header*> headers;
  for (int i = 0; i < kCount; ++i) headers.push_back(Header::Of(New<Watcher>()));
  g_polls = 0;
  g_polls_under_hazards = 0;
  Watcher::batch = 0;
  Watcher::covered = 0;
  Marker marker(space(), kBlack, 0, &WatchfulPoll);
  for (Header* header : headers) marker.Push(header);
  marker.Run(nullptr);
  EXPECT_EQ(Watcher::covered, kCount);
  EXPECT_GE(g_polls, 2);
  EXPECT_EQ(g_polls_under_hazards, 0);
}

TEST_F(MarkerTest, DeepListIsMarkedToItsEnd) {
  constexpr auto kLength = static_cast<uint64_t>(20'000 * threads::test::kScale);
  Node* head = NewNode();
  Node* last = head;
  for (uint64_t i = 1; i < kLength; ++i) {
    Node* node = NewNode();
    Point(last->next, node);
    last = node;
  }
  EXPECT_EQ(MarkFrom(head), (Outcome{kLength, false}));
  EXPECT_TRUE(IsBlack(last));
}

TEST_F(MarkerTest, ObjectWithMoreEdgesThanAChunkHoldsIsTracedWhole) {
  static_assert(Fan::kEdges > MarkChunk::kEntries);
  Fan* fan = New<Fan>();
  for (Member<Node>& edge : fan->edges) {
    Node* node = NewNode();
    Point(edge, node);
    Point(node->next, NewNode());
  }
  EXPECT_EQ(MarkFrom(fan), (Outcome{1 + 2 * Fan::kEdges, false}));
  for (const Member<Node>& edge : fan->edges) {
    ASSERT_TRUE(IsBlack(edge.get()));
    ASSERT_TRUE(IsBlack(edge->next.get()));
  }
}

TEST_F(MarkerTest, MarkerGoesOnWithWhatIsPushedAfterARun) {
  Marker marker(space(), kBlack, 0, &NoPoll);
  marker.Run(nullptr);
  EXPECT_EQ(marker.marked(), 0u);
  for (uint64_t round = 1; round <= 3; ++round) {
    EXPECT_TRUE(marker.PushIfWhite(Header::Of(NewNode())));
    marker.Run(nullptr);
    EXPECT_EQ(marker.marked(), round);
  }
}

// The other one has nothing of its own and waits; what is given away may come back, but is not
// lost.
TEST_F(MarkerTest, ChunksAreGivenToAMarkerThatWaits) {
  constexpr uint64_t kCount = 4 * MarkChunk::kEntries;
  MarkPool pool;
  Marker marker(space(), kBlack, 0, &NoPoll);
  Marker waiting(space(), kBlack, 1, nullptr);
  std::vector<Node*> nodes;
  for (uint64_t i = 0; i < kCount; ++i) {
    nodes.push_back(NewNode());
    marker.Push(Header::Of(nodes.back()));
  }
  Actor other;
  pool.Join();
  pool.Join();
  other.Start([&] { waiting.Run(&pool); });
  while (!pool.Hungry()) std::this_thread::yield();
  marker.Run(&pool);
  other.Wait();
  EXPECT_EQ(marker.marked() + waiting.marked(), kCount);
  for (const Node* node : nodes) ASSERT_TRUE(IsBlack(node));
  EXPECT_EQ(pool.TryTake(), nullptr);
}

}  // namespace
}  // namespace reef::collector::test
