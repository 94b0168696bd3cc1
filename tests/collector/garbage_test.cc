// What debugging does with garbage: prints it, or keeps it.
#include "lib/collector/garbage.h"

#include <vector>

#include "gtest/gtest.h"

#include "lib/collector/control.h"
#include "tests/collector/support.h"

namespace reef::collector::test {
namespace {

class GarbageTest : public CollectorTest {
 protected:
  GarbageTest() { heap_.control = std::make_shared<Control>(CollectorOptions{}); }

  std::vector<Header*> TakeKept() {
    std::vector<Header*> kept;
    heap_.control->TakeKept([&kept](const std::vector<Header*>& all) { kept = all; });
    return kept;
  }
};

TEST_F(GarbageTest, KeptObjectsHaveARootAndLive) {
  Node* one = MakeGarbage();
  NewNode();
  heap_.options.debugging.keep_garbage = true;
  const CollectionReport report = Collect();
  EXPECT_EQ(report.objects, 0u);
  EXPECT_EQ(report.kept, 2u);
  EXPECT_EQ(report.marked, 3u) << "they are marked like what a finalizer keeps";
  EXPECT_EQ(report.aborted, 0u);
  EXPECT_EQ(ends_, 0);
  const std::vector<Header*> kept = TakeKept();
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_TRUE(TakeKept().empty());
  for (Header* header : kept) {
    EXPECT_TRUE(IsRoot(header));
    EXPECT_TRUE(header == Header::Of(one) || header == Header::Of(one->next.get()));
  }
  EXPECT_EQ(Collect().kept, 0u) << "they are roots now";
  EXPECT_TRUE(Verify(space()).ok());
  for (Header* header : kept) internal::DropExt(header);
  EXPECT_EQ(Collect().kept, 2u) << "and garbage again";
  heap_.options.debugging.keep_garbage = false;
  for (Header* header : TakeKept()) internal::DropExt(header);
  EXPECT_EQ(Collect().objects, 2u);
  EXPECT_EQ(ends_, 2);
}

TEST_F(GarbageTest, PrintedObjectsGoAsEver) {
  MakeGarbage();
  heap_.options.debugging.print_garbage = true;
  testing::internal::CaptureStderr();
  EXPECT_EQ(Collect().objects, 2u);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(ends_, 2);
  size_t lines = 0;
  for (size_t at = text.find("unreachable: reef::object::test::Node at 0x");
       at != std::string::npos; at = text.find("unreachable: ", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 2u) << text;
}

}  // namespace
}  // namespace reef::collector::test
