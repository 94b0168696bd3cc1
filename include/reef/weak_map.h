// WeakValueMap and WeakSet: containers whose entries go when their objects die.
//
//   reef::WeakValueMap<std::string, Image> cache;
//   reef::Ref<Image> image = cache.FindOrMake(path, [&] { return heap.Make<Image>(path); });
//
// Ordinary objects, not managed ones: globals, members of any class. They keep nobody alive.
//
// Thread safety: all functions from any threads at once, but for the destructor. A container is cut
// into shards, each under a mutex that is held for a look-up or a change of that shard. No object
// is made, destroyed or visited under one, and no key destroyed, so user code that is called then
// may use the container again. Under it are called Hash, Equal and, by ForEach, the keys' copy
// constructors: these must not use the container (it would lock a mutex twice).
//
// Dead entries are never seen; their memory goes at a later insertion into the same shard
// (amortised O(1)), or by Prune. What Hash, Equal and a key's copy constructor throw is passed on,
// and nothing has changed; so with std::bad_alloc, by functions that insert, ForEach and Prune.
// Iteration is over what was alive when a shard was copied, each entry held by a Ref meanwhile.
// Functions are O(1), but where it says otherwise. Follows Python's WeakValueDictionary and
// WeakSet.
#ifndef REEF_WEAK_MAP_H_
#define REEF_WEAK_MAP_H_

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reef/ref.h"
#include "reef/weak.h"

namespace reef {

template <typename Key, typename T, typename Hash = std::hash<Key>,
          typename Equal = std::equal_to<Key>>
class WeakValueMap {
 public:
  WeakValueMap() = default;
  // O(size). No other thread may use the map any more; a key's destructor may.
  ~WeakValueMap() { clear(); }
  WeakValueMap(const WeakValueMap&) = delete;
  WeakValueMap& operator=(const WeakValueMap&) = delete;

  // Maps `key` to the object, whatever it was mapped to before; an empty Ref erases. Throws
  // OutOfMemory or std::bad_alloc: then nothing has changed.
  void Set(Key key, const Ref<T>& value) {
    if (value) {
      (void)Enter(std::move(key), value, /*replace=*/true);
    } else {
      (void)Erase(key);
    }
  }
  // Maps `key` to the object unless it is mapped to one that lives. True if it does now; of an
  // empty Ref false, and nothing has changed. Throws as Set.
  bool Insert(Key key, const Ref<T>& value) {
    return value && !Enter(std::move(key), value, /*replace=*/false);
  }
  // The object, or null if there is none or it has died.
  Ref<T> Find(const Key& key) const {
    const Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    const auto found = shard.entries.find(key);
    return found == shard.entries.end() ? nullptr : found->second.Lock();
  }
  // The object that `key` is mapped to, or else `make()`, which is then entered. If several threads
  // make one at once, the first to come back is entered, and all get that. If `make` returns null,
  // so does this, and nothing is entered. Passes on what `make` throws; throws as Set.
  template <typename Make>
  Ref<T> FindOrMake(const Key& key, Make&& make) {
    if (Ref<T> found = Find(key)) return found;
    Ref<T> made = std::forward<Make>(make)();
    if (!made) return made;
    Ref<T> winner = Enter(key, made, /*replace=*/false);
    return winner ? winner : made;
  }
  // True if there was an entry whose object lived.
  bool Erase(const Key& key) {
    Ref<T> was;
    Node entry;  // goes after the lock, as `was` does
    Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    const auto found = shard.entries.find(key);
    if (found == shard.entries.end()) return false;
    was = found->second.Lock();
    entry = shard.entries.extract(found);
    return static_cast<bool>(was);
  }
  // Calls `function(key, ref)` for each entry whose object lives. Entries that come or go meanwhile
  // may be seen or not. O(size).
  template <typename Function>
  void ForEach(Function&& function) const {
    for (const Shard& shard : shards_) {
      std::vector<std::pair<Key, Ref<T>>> alive;
      {
        const std::lock_guard<std::mutex> lock(shard.mutex);
        alive.reserve(shard.entries.size());
        for (const auto& [key, weak] : shard.entries) {
          if (weak.IsKnownDead()) continue;
          // The key first: should its copy throw, there is no Ref to be dropped under the lock.
          alive.emplace_back(key, nullptr);
          alive.back().second = weak.Lock();
        }
      }
      for (auto& [key, ref] : alive) {
        if (ref) function(static_cast<const Key&>(key), ref);
      }
    }
  }
  // Entries whose objects are not known to be dead: those of objects that die at this moment, or
  // wait for a grace period to be destroyed, may be counted. O(size); throws nothing.
  size_t size() const {
    size_t count = 0;
    for (const Shard& shard : shards_) {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      for (const auto& [key, weak] : shard.entries) count += weak.IsKnownDead() ? 0 : 1;
    }
    return count;
  }
  bool empty() const { return size() == 0; }
  // O(size); throws nothing.
  void clear() {
    for (Shard& shard : shards_) {
      Entries entries;  // go after the lock
      const std::lock_guard<std::mutex> lock(shard.mutex);
      entries.swap(shard.entries);
      shard.prune_at = kLeastToPrune;
    }
  }
  // Frees the memory of all dead entries. O(size).
  void Prune() {
    for (Shard& shard : shards_) {
      std::vector<Node> dead;
      const std::lock_guard<std::mutex> lock(shard.mutex);
      shard.Prune(&dead);
    }
  }

 private:
  using Entries = std::unordered_map<Key, Weak<T>, Hash, Equal>;
  // An entry outside of its shard: what a function takes out, it lets go after the lock.
  using Node = typename Entries::node_type;
  static constexpr size_t kLeastToPrune = 16;  // entries

  struct alignas(64) Shard {
    mutable std::mutex mutex;
    Entries entries;
    size_t prune_at = kLeastToPrune;

    // Throws std::bad_alloc: then nothing has changed.
    void Prune(std::vector<Node>* dead) {
      size_t count = 0;
      for (const auto& [key, weak] : entries) count += weak.IsKnownDead() ? 1 : 0;
      dead->reserve(count);
      for (auto at = entries.begin(); dead->size() < count;) {
        const auto entry = at++;
        if (entry->second.IsKnownDead()) dead->push_back(entries.extract(entry));
      }
      prune_at = entries.size() * 2 + kLeastToPrune;
    }
  };
  static constexpr size_t kShards = 16;

  // The high bits: the table inside the shard uses the low ones.
  static size_t IndexOf(const Key& key) {
    return Hash()(key) * size_t{0x9e3779b97f4a7c15} >> 60 & (kShards - 1);
  }
  Shard& ShardOf(const Key& key) { return shards_[IndexOf(key)]; }
  const Shard& ShardOf(const Key& key) const { return shards_[IndexOf(key)]; }

  // Without `replace` returns the living object that `key` is mapped to and stays so; otherwise, or
  // if there is none, maps it to `value` and returns null. One step.
  Ref<T> Enter(Key key, const Ref<T>& value, bool replace) {
    Entries alone;              // in which the entry is made without the lock
    alone.max_load_factor(16);  // its one bucket will do
    alone.emplace(std::move(key), value);
    Node entry = alone.extract(alone.begin());
    std::vector<Node> dead;
    Ref<T> winner;
    Shard& shard = ShardOf(entry.key());
    const std::lock_guard<std::mutex> lock(shard.mutex);
    if (shard.entries.size() >= shard.prune_at) shard.Prune(&dead);
    auto result = shard.entries.insert(std::move(entry));
    if (result.inserted) return nullptr;
    entry = std::move(result.node);
    Weak<T>& present = result.position->second;
    if (!replace) winner = present.Lock();
    if (!winner) present.Swap(entry.mapped());
    return winner;
  }

  std::array<Shard, kShards> shards_;
};

// A set of objects, by identity.
template <typename T>
class WeakSet {
 public:
  // True if it was not in the set: of several threads that insert an object at once, one gets true.
  // Throws as WeakValueMap::Set. An empty Ref is never in a set.
  bool Insert(const Ref<T>& ref) { return ref && map_.Insert(Weak<T>(ref), ref); }
  // Throws nothing.
  bool Contains(const Ref<T>& ref) const {
    return HasHandles(ref) && static_cast<bool>(map_.Find(Weak<T>(ref)));
  }
  // True if it was in the set. Throws nothing.
  bool Erase(const Ref<T>& ref) { return HasHandles(ref) && map_.Erase(Weak<T>(ref)); }
  // Calls `function(ref)` for each object that lives; as WeakValueMap::ForEach.
  template <typename Function>
  void ForEach(Function&& function) const {
    map_.ForEach([&function](const Weak<T>&, const Ref<T>& ref) { function(ref); });
  }
  // These as WeakValueMap's.
  size_t size() const { return map_.size(); }
  bool empty() const { return map_.empty(); }
  void clear() { map_.clear(); }
  void Prune() { map_.Prune(); }

 private:
  // What has none is in no set, and no cell need be made to look for it.
  static bool HasHandles(const Ref<T>& ref) { return WeakCount(ref) != 0; }

  // Handles of one object are equal, and hash alike, for as long as there are any.
  WeakValueMap<Weak<T>, T> map_;
};

}  // namespace reef

#endif  // REEF_WEAK_MAP_H_
