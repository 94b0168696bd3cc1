// The look at a whole space: nothing is said of a sound one, and each planted fault is named.
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "lib/memory/space.h"
#include "tests/memory/support.h"

namespace reef::memory::test {
namespace {

using internal::kRemoteFull;
using internal::LinkOf;
using internal::SlabOf;

class FaultsTest : public SpaceTest {
 protected:
  FaultsTest() : slot_(AddSlot()), other_(AddSlot()) {}

  std::string Faults(const SlabBatch& quarantine = {}) const {
    std::string all;
    space_->FindFaults(quarantine, [&](const char* what, const Slab* /*slab*/) {
      all += what;
      all += '\n';
    });
    return all;
  }
  void Expect(const std::string& fault) const {
    EXPECT_NE(Faults().find(fault), std::string::npos) << "found: " << Faults();
  }
  // Blocks of one slab, of which there are more.
  std::vector<void*> Blocks(size_t count) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < count; ++i) blocks.push_back(Allocate(slot_));
    return blocks;
  }

  Slot* slot_;
  Slot* other_;
};

TEST_F(FaultsTest, SoundSpaceHasNoneAtAnyStageOfASlab) {
  EXPECT_EQ(Faults(), "");
  std::vector<void*> blocks = Blocks(2 * kCapacity + 5);
  EXPECT_EQ(Faults(), "") << "full ones, and a current one";
  Free(other_, blocks.back());
  blocks.pop_back();
  EXPECT_EQ(Faults(), "") << "a block came back from elsewhere";
  Free(other_, blocks.front());
  EXPECT_EQ(Faults(), "") << "a full one has become available";
  for (size_t i = 1; i < blocks.size(); ++i) Free(slot_, blocks[i]);
  ReleaseSlabs(slot_, space_.get());
  EXPECT_EQ(Faults(), "") << "empty ones are available";
  const SlabBatch batch = space_->TakeEmpty();
  EXPECT_GT(batch.count, 0u);
  EXPECT_EQ(Faults(batch), "") << "in quarantine";
  space_->ReturnToSupply(batch);
  EXPECT_EQ(Faults(), "") << "in the supply";
  space_->Purge(true);
  EXPECT_EQ(Faults(), "") << "purged";
}

TEST_F(FaultsTest, RunsHaveNoneAtAnyStage) {
  for (const size_t bytes : {size_t{100'000}, size_t{3} << 20, size_t{9} << 20}) {
    void* run = space_->AllocateRun(SlabKind::kRaw, bytes, 16);
    ASSERT_NE(run, nullptr);
    EXPECT_EQ(Faults(), "") << bytes;
    space_->FreeRun(slot_, SlabOf(run));
    EXPECT_EQ(Faults(), "") << bytes;
    space_->ReturnToSupply(space_->TakeEmpty());
    EXPECT_EQ(Faults(), "") << bytes;
    space_->Purge(true);
    EXPECT_EQ(Faults(), "") << bytes;
  }
}

TEST_F(FaultsTest, StrandedSlabIsFound) {
  void* block = Allocate(slot_);
  ReleaseSlabs(slot_, space_.get());
  Slab* slab = space_->PopAvailable(SlabKind::kRaw, kClass);
  ASSERT_EQ(slab, SlabOf(block));
  Expect("nobody's, not full and on no list");
  space_->PushAvailable(slab, false);
  EXPECT_EQ(Faults(), "");
}

TEST_F(FaultsTest, SlabInQuarantineThatNobodyRemembersIsFound) {
  Free(slot_, Allocate(slot_));
  ReleaseSlabs(slot_, space_.get());
  const SlabBatch batch = space_->TakeEmpty();
  Expect("on no list");
  EXPECT_EQ(Faults(batch), "");
}

TEST_F(FaultsTest, SlabAtTwoPlacesIsFound) {
  Slab* slab = SlabOf(Allocate(slot_));
  space_->PushAvailable(slab, false);
  Expect("at two places");
}

TEST_F(FaultsTest, SlabListedTwiceIsFound) {
  Slab* slab = SlabOf(Allocate(slot_));
  ReleaseSlabs(slot_, space_.get());
  space_->PushAvailable(slab, false);
  Expect("listed twice");
}

TEST_F(FaultsTest, SlabOnAnotherClassesListIsFound) {
  Slab* slab = SlabOf(Allocate(slot_));
  ReleaseSlabs(slot_, space_.get());
  slab->size_class = static_cast<uint8_t>(kClass + 1);
  Expect("another class or kind");
  slab->size_class = static_cast<uint8_t>(kClass);
}

TEST_F(FaultsTest, CircleOfFreeBlocksIsFound) {
  const std::vector<void*> blocks = Blocks(3);
  for (void* block : blocks) Free(slot_, block);
  void*& link = LinkOf(blocks[1], 0);
  void* before = link;
  link = blocks[2];  // which is linked to blocks[1]
  Expect("is a circle");
  link = before;
  EXPECT_EQ(Faults(), "");
}

TEST_F(FaultsTest, ChainThatLeadsElsewhereIsFound) {
  const std::vector<void*> blocks = Blocks(2);
  Free(slot_, blocks[0]);
  void*& link = LinkOf(blocks[0], 0);
  void* before = link;
  link = static_cast<char*>(blocks[1]) + 8;
  Expect("between blocks");
  link = &link + kSlabBytes;
  Expect("out of its slab");
  link = before;
}

TEST_F(FaultsTest, FreeBlockWhoseHeaderIsInUseIsFound) {
  void* block = Allocate(slot_, SlabKind::kTraced);
  static_cast<Header*>(block)->SetStage(internal::Stage::kFree);
  Free(slot_, block);
  ASSERT_EQ(Faults(), "");
  static_cast<Header*>(block)->SetStage(internal::Stage::kLive);
  Expect("free by a chain and in use by its header");
  static_cast<Header*>(block)->SetStage(internal::Stage::kFree);
}

TEST_F(FaultsTest, LostBlockIsFound) {
  Slab* slab = SlabOf(Allocate(slot_));
  slab->used.fetch_add(1);
  Expect("not those that were cut");
  slab->used.fetch_sub(1);
}

TEST_F(FaultsTest, WrongCountOfReturnedBlocksIsFound) {
  void* block = Allocate(slot_);
  Slab* slab = SlabOf(block);
  Free(other_, block);
  ASSERT_EQ(Faults(), "");
  slab->remote.fetch_add(uint64_t{1} << internal::kRemoteCountShift);
  Expect("another number of blocks");
  slab->remote.fetch_sub(uint64_t{1} << internal::kRemoteCountShift);
}

TEST_F(FaultsTest, FullSlabWithRoomIsFound) {
  Slab* slab = SlabOf(Allocate(slot_));
  slab->owner.store(0);
  slab->remote.store(kRemoteFull);
  Expect("FULL and has blocks to give");
}

TEST_F(FaultsTest, LostSlabAndSharedSlabAreFound) {
  Slab* slab = SlabOf(Allocate(slot_));
  slab->formatted.store(false);
  Expect("no layout and is not in the supply");
  Expect("not as many as are counted");
  slab->formatted.store(true);
  slab->run_slabs = 2;
  Expect("has a layout");
  slab->run_slabs = 0;
  EXPECT_EQ(Faults(), "");
}

}  // namespace
}  // namespace reef::memory::test
