// WeakValueMap and WeakSet: containers whose entries go when their objects die.
//
//   reef::WeakValueMap<std::string, Image> cache;
//   reef::Ref<Image> image = cache.FindOrMake(path, [&] { return heap.Make<Image>(path); });
//
// Ordinary objects, not managed ones: globals, members of any class. They keep nobody alive.
//
// Thread safety: all functions from any threads at once. A container is cut into shards, each under
// a mutex that is held for a look-up or a change of that shard, never while an object is made,
// destroyed or visited: so user code that the container calls may use it again.
//
// Dead entries are never seen; their memory goes at a later insertion into the same shard
// (amortised O(1)), or by Prune. What Hash and Equal throw is passed on, and nothing has changed;
// they are called under the shard's mutex, so they must not use the container. Iteration is over
// what was alive when a shard was copied, each entry held by a Ref meanwhile. Follows Python's
// WeakValueDictionary and WeakSet.
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
  WeakValueMap(const WeakValueMap&) = delete;
  WeakValueMap& operator=(const WeakValueMap&) = delete;

  // Maps `key` to the object, whatever it was mapped to before; an empty Ref erases. Throws
  // OutOfMemory or std::bad_alloc: then nothing has changed.
  void Set(Key key, const Ref<T>& value) {
    if (!value) {
      (void)Erase(key);
      return;
    }
    Weak<T> weak = value;
    Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    shard.MakeRoom();
    // The former handle is let go under the lock: that runs nobody's code.
    shard.entries.insert_or_assign(std::move(key), std::move(weak));
  }
  // The object, or null if there is none or it has died.
  Ref<T> Find(const Key& key) const {
    const Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    const auto found = shard.entries.find(key);
    return found == shard.entries.end() ? nullptr : found->second.Lock();
  }
  // The object that `key` is mapped to, or else `make()`, which is then entered. If several threads
  // make one at once, the first to come back is entered, and all get that. Passes on what `make`
  // throws.
  template <typename Make>
  Ref<T> FindOrMake(const Key& key, Make&& make) {
    if (Ref<T> found = Find(key)) return found;
    Ref<T> made = std::forward<Make>(make)();
    if (!made) return made;
    Weak<T> weak = made;
    Ref<T> winner;
    {
      Shard& shard = ShardOf(key);
      const std::lock_guard<std::mutex> lock(shard.mutex);
      shard.MakeRoom();
      Weak<T>& entry = shard.entries[key];
      winner = entry.Lock();
      if (!winner) entry = std::move(weak);
    }
    return winner ? winner : made;
  }
  // True if there was an entry whose object lived.
  bool Erase(const Key& key) {
    Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    const auto found = shard.entries.find(key);
    if (found == shard.entries.end()) return false;
    const bool alive = !found->second.IsKnownDead();
    shard.entries.erase(found);
    return alive;
  }
  // Calls `function(key, ref)` for each entry whose object lives. Entries that come or go meanwhile
  // may be seen or not.
  template <typename Function>
  void ForEach(Function&& function) const {
    for (const Shard& shard : shards_) {
      std::vector<std::pair<Key, Ref<T>>> alive;
      {
        const std::lock_guard<std::mutex> lock(shard.mutex);
        alive.reserve(shard.entries.size());
        for (const auto& [key, weak] : shard.entries) {
          // What fails is no Ref, and what succeeds is dropped outside.
          if (Ref<T> ref = weak.Lock()) alive.emplace_back(key, std::move(ref));
        }
      }
      for (auto& [key, ref] : alive) function(static_cast<const Key&>(key), ref);
    }
  }
  // Entries whose objects are not known to be dead. O(size).
  size_t size() const {
    size_t count = 0;
    for (const Shard& shard : shards_) {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      for (const auto& [key, weak] : shard.entries) count += weak.IsKnownDead() ? 0 : 1;
    }
    return count;
  }
  bool empty() const { return size() == 0; }
  void clear() {
    for (Shard& shard : shards_) {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      shard.entries.clear();
    }
  }
  // Frees the memory of all dead entries. O(size).
  void Prune() {
    for (Shard& shard : shards_) {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      shard.Prune();
    }
  }

 private:
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::unordered_map<Key, Weak<T>, Hash, Equal> entries;
    size_t prune_at = 16;  // entries

    void Prune() {
      std::erase_if(entries, [](const auto& entry) { return entry.second.IsKnownDead(); });
      prune_at = entries.size() * 2 + 16;
    }
    void MakeRoom() {
      if (entries.size() >= prune_at) Prune();
    }
  };
  static constexpr size_t kShards = 16;

  // The high bits: the table inside the shard uses the low ones.
  static size_t IndexOf(const Key& key) {
    return Hash()(key) * size_t{0x9e3779b97f4a7c15} >> 60 & (kShards - 1);
  }
  Shard& ShardOf(const Key& key) { return shards_[IndexOf(key)]; }
  const Shard& ShardOf(const Key& key) const { return shards_[IndexOf(key)]; }

  std::array<Shard, kShards> shards_;
};

// A set of objects, by identity.
template <typename T>
class WeakSet {
 public:
  // True if it was not in the set. Throws as WeakValueMap::Set. An empty Ref is never in a set.
  bool Insert(const Ref<T>& ref) {
    if (!ref) return false;
    const bool fresh = !map_.Find(Weak<T>(ref));
    map_.Set(Weak<T>(ref), ref);
    return fresh;
  }
  bool Contains(const Ref<T>& ref) const {
    return ref && static_cast<bool>(map_.Find(Weak<T>(ref)));
  }
  // True if it was in the set.
  bool Erase(const Ref<T>& ref) { return ref && map_.Erase(Weak<T>(ref)); }
  // Calls `function(ref)` for each object that lives; as WeakValueMap::ForEach.
  template <typename Function>
  void ForEach(Function&& function) const {
    map_.ForEach([&function](const Weak<T>&, const Ref<T>& ref) { function(ref); });
  }
  size_t size() const { return map_.size(); }
  bool empty() const { return map_.empty(); }
  void clear() { map_.clear(); }
  void Prune() { map_.Prune(); }

 private:
  // Handles of one object are equal, and hash alike, for as long as there are any.
  WeakValueMap<Weak<T>, T> map_;
};

}  // namespace reef

#endif  // REEF_WEAK_MAP_H_
