// The program's own code inside containers of weak handles: keys and objects that use the container
// again where they are destroyed. A mutex that is held there would be locked twice: the test hangs.
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reef/reef.h"
#include "tests/heap/support.h"

namespace reef {
namespace {

using test::Life;
using test::Lives;

struct Image {
  explicit Image(Lives& lives) : life(lives) {}
  Life life;
};

// Looks into the map wherever one of it ends, also one that was moved from.
struct Key;
struct KeyHash {
  size_t operator()(const Key& key) const;
};
using Map = WeakValueMap<Key, Image, KeyHash>;

struct Key {
  Key(Map& its_map, int its_number) : map(&its_map), number(its_number) {}
  Key(const Key& other) = default;
  Key(Key&& other) = default;
  ~Key() { (void)map->size(); }
  bool operator==(const Key& other) const { return number == other.number; }
  Map* map;
  int number;
};
size_t KeyHash::operator()(const Key& key) const { return static_cast<size_t>(key.number); }

class WeakMapCodeTest : public test::QuietHeapTest {
 protected:
  Ref<Image> MakeImage() { return heap_->Make<Image>(lives_); }
};

TEST_F(WeakMapCodeTest, KeysThatAreDestroyedMayUseTheMap) {
  std::optional<Map> map(std::in_place);
  Ref<Image> image = MakeImage();
  map->Set(Key(*map, 1), image);
  map->Set(Key(*map, 1), MakeImage());  // the second key goes, and the value dies
  EXPECT_FALSE(map->Find(Key(*map, 1)));
  EXPECT_TRUE(map->Insert(Key(*map, 1), image));
  EXPECT_FALSE(map->Insert(Key(*map, 1), image));
  EXPECT_EQ(map->FindOrMake(Key(*map, 2), [&] { return image; }), image);
  // One that is entered meanwhile wins.
  EXPECT_EQ(map->FindOrMake(Key(*map, 3),
                            [&] {
                              map->Set(Key(*map, 3), image);
                              return MakeImage();
                            }),
            image);
  int seen = 0;
  map->ForEach([&seen](const Key& /*key*/, const Ref<Image>& /*image*/) { ++seen; });
  EXPECT_EQ(seen, 3);
  EXPECT_TRUE(map->Erase(Key(*map, 2)));
  map->clear();
  EXPECT_TRUE(map->empty());
  map->Set(Key(*map, 4), image);
  map.reset();
}

TEST_F(WeakMapCodeTest, KeysOfDeadEntriesMayUseTheMap) {
  Map map;
  for (int i = 0; i < 100; ++i) map.Set(Key(map, i), MakeImage());
  map.Prune();
  // Of themselves, when there is no room left.
  for (int i = 0; i < 1000; ++i) map.Set(Key(map, i), MakeImage());
  EXPECT_TRUE(map.empty());
}

// Its copy takes the last reference to an object away, and throws.
struct Last {
  explicit Last(Ref<struct Watcher>* its_last = nullptr) : last(its_last) {}
  Last(const Last& other);
  bool operator==(const Last& other) const { return last == other.last; }
  Ref<Watcher>* last;
};
struct LastHash {
  size_t operator()(const Last& /*key*/) const { return 1; }
};
bool g_copying = false;

struct Watcher {
  ~Watcher() {
    if (!g_copying) (void)map->size();
  }
  WeakValueMap<Last, Watcher, LastHash>* map;
};

Last::Last(const Last& other) : last(other.last) {
  if (last == nullptr || !*last) return;
  g_copying = true;
  last->Reset();
  g_copying = false;
  throw std::runtime_error("copy");
}

TEST_F(WeakMapCodeTest, NoObjectDiesUnderTheLockWhenAKeysCopyThrows) {
  WeakValueMap<Last, Watcher, LastHash> map;
  Ref<Watcher> last;
  map.Set(Last(&last), heap_->Make<Watcher>(&map));
  Ref<Watcher> watcher = heap_->Make<Watcher>(&map);
  map.Set(Last(&last), watcher);
  last = std::move(watcher);
  EXPECT_THROW(map.ForEach([](const Last&, const Ref<Watcher>&) { FAIL() << "there is none"; }),
               std::runtime_error);
  EXPECT_FALSE(last);
  EXPECT_TRUE(map.empty());
}

TEST_F(WeakMapCodeTest, ObjectsThatDieMayUseTheContainersTheyWereIn) {
  struct Member {
    ~Member() {
      EXPECT_FALSE(set->Erase(RefThatIsNone()));
      EXPECT_EQ(set->size(), 0u);
      EXPECT_FALSE(map->Find(1));
    }
    static Ref<Member> RefThatIsNone() { return nullptr; }
    WeakSet<Member>* set;
    WeakValueMap<int, Member>* map;
  };
  WeakSet<Member> set;
  WeakValueMap<int, Member> map;
  Ref<Member> member = heap_->Make<Member>(&set, &map);
  map.Set(1, member);
  EXPECT_TRUE(set.Insert(member));
  set.ForEach([&](const Ref<Member>& /*held*/) { member.Reset(); });
  EXPECT_TRUE(set.empty());
}

}  // namespace
}  // namespace reef
