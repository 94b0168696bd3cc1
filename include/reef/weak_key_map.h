// WeakKeyMap: values that live as long as their keys.
//
//   reef::WeakKeyMap<Session, Statistics> statistics;
//   statistics.Set(session, heap.Make<Statistics>());      // what Session has no field for
//   if (reef::Ref<Statistics> found = statistics.Find(session)) { ... }
//
// An entry goes when its key dies. Entries are *ephemerons*: a value that refers to its own key,
// directly or through any graph, through other maps' entries too, does not keep the key alive; such
// a key is garbage as any cycle is, found by the next collection. A value that a map gives up, by
// Set, Erase, clear or its own end, or whose key dies by its last reference, is dropped at once.
//
// Keys are compared by identity; for keys by value see WeakValueMap. A key's type has a Trace (an
// empty one will do), because the collector follows no edge of a leaf. Key and value are of one
// heap.
//
// An ordinary object, not a managed one: a global, a member of any class. What it knows of a key is
// a weak handle, which WeakCount counts. While the map exists, its values are held by their keys
// and by nothing else: a key that lives keeps them, whoever can still reach the map.
//
// Thread safety: all functions from any threads at once, but for the destructor. A map is cut into
// shards, each under a mutex that is held for a look-up or a change of that shard; the keys' deaths
// take none. No object is made, destroyed or visited under one, so user code that is called may use
// the map again.
//
// Dead entries are never seen; their memory goes at a later insertion into the same shard
// (amortised O(1)), or by Prune. Each function is O(1), but where it says otherwise, and linear in
// the number of maps that have the key where an entry goes.
//
// Ephemerons: Barry Hayes, OOPSLA 1997. Follows Python's WeakKeyDictionary, which lacks them, and
// JavaScript's WeakMap, which has them.
#ifndef REEF_WEAK_KEY_MAP_H_
#define REEF_WEAK_KEY_MAP_H_

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reef/internal/type_info.h"
#include "reef/ref.h"
#include "reef/weak.h"

namespace reef {

namespace internal {

// An object whose type is the caller's business.
struct Opaque;
// What one map keeps on one key (lib/weak_key_map.cc).
struct Ephemeron;

// WeakKeyMap without its types.
class EphemeronTable {
 public:
  using Entry = std::pair<Ref<Opaque>, Ref<Opaque>>;

  EphemeronTable() = default;
  ~EphemeronTable() { Clear(); }
  EphemeronTable(const EphemeronTable&) = delete;
  EphemeronTable& operator=(const EphemeronTable&) = delete;

  // In all of these `key` is not empty. What throws, std::bad_alloc that is, has changed nothing.

  // The value of `key`, or null.
  Ref<Opaque> Find(const Ref<Opaque>& key) const;
  // Maps `key` to `value`, which is not empty. Returns the former value. Throws
  // std::invalid_argument for a value of another heap.
  Ref<Opaque> Exchange(const Ref<Opaque>& key, Ref<Opaque> value);
  // The same unless it is mapped already: then returns the value that stays.
  Ref<Opaque> Insert(const Ref<Opaque>& key, Ref<Opaque> value);
  // Takes the entry out; the value, or null if there was none.
  Ref<Opaque> Take(const Ref<Opaque>& key);
  // Entries of one shard whose keys live.
  std::vector<Entry> Alive(size_t shard) const;
  size_t Size() const;
  void Clear() noexcept;
  void Prune();

  static constexpr size_t kShards = 16;

 private:
  using Pointers = std::unordered_map<Weak<Opaque>, Ephemeron*>;
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    Pointers entries;
    size_t prune_at = 16;  // entries

    void Prune();
  };

  // The high bits: the table inside the shard uses the low ones.
  static size_t IndexOf(const Weak<Opaque>& key) {
    return std::hash<Weak<Opaque>>()(key) * size_t{0x9e3779b97f4a7c15} >> 60 & (kShards - 1);
  }
  Shard& ShardOf(const Weak<Opaque>& key) { return shards_[IndexOf(key)]; }
  const Shard& ShardOf(const Weak<Opaque>& key) const { return shards_[IndexOf(key)]; }
  Ref<Opaque> Enter(const Ref<Opaque>& key, Ref<Opaque> value, bool replace);

  std::array<Shard, kShards> shards_;
};

}  // namespace internal

template <typename K, typename V>
class WeakKeyMap {
 public:
  // Keeps no value: those that only its entries held are dropped. O(size).
  ~WeakKeyMap() = default;
  WeakKeyMap() = default;
  WeakKeyMap(const WeakKeyMap&) = delete;
  WeakKeyMap& operator=(const WeakKeyMap&) = delete;

  // Maps `key` to `value`, whatever it was mapped to before; an empty value erases. An empty key
  // maps nothing: no effect. Throws OutOfMemory or std::bad_alloc, and std::invalid_argument if the
  // two are of different heaps (checked builds abort): then nothing has changed. A key whose type
  // hides the Trace of its base K, and so is a leaf, aborts.
  void Set(const Ref<K>& key, Ref<V> value) {
    static_assert(internal::HasTrace<K>,
                  "the key of a WeakKeyMap needs a Trace: the collector follows no edge of a leaf. "
                  "Give it `void Trace(reef::Visitor&) const {}`");
    if (!key) return;
    if (!value) {
      (void)Erase(key);
    } else {
      (void)table_.Exchange(Plain(key), Plain(std::move(value)));
    }
  }
  // The value, or null if there is none.
  Ref<V> Find(const Ref<K>& key) const { return key ? Typed<V>(table_.Find(Plain(key))) : nullptr; }
  // The value that `key` is mapped to, or else `make()`, which is then entered. If several threads
  // make one at once, the first to come back is entered, and all get that. Passes on what `make`
  // throws; throws as Set. An empty key gets an empty Ref, and nothing is made.
  template <typename Make>
  Ref<V> FindOrMake(const Ref<K>& key, Make&& make) {
    if (!key) return nullptr;
    if (Ref<V> found = Find(key)) return found;
    Ref<V> made = std::forward<Make>(make)();
    if (!made) return made;
    Ref<V> winner = Typed<V>(table_.Insert(Plain(key), Plain(made)));
    return winner ? winner : made;
  }
  // Takes the entry out. True if there was one.
  bool Erase(const Ref<K>& key) { return static_cast<bool>(Take(key)); }
  // The same, and returns its value, or null.
  Ref<V> Take(const Ref<K>& key) { return key ? Typed<V>(table_.Take(Plain(key))) : nullptr; }
  // Calls `function(key, value)` for each entry whose key lives, both held meanwhile. Entries that
  // come or go meanwhile may be seen or not. O(size); throws std::bad_alloc, and what the function
  // throws.
  template <typename Function>
  void ForEach(Function&& function) const {
    for (size_t shard = 0; shard < internal::EphemeronTable::kShards; ++shard) {
      for (auto& [key, value] : table_.Alive(shard)) {
        function(Typed<K>(std::move(key)), Typed<V>(std::move(value)));
      }
    }
  }
  // Entries whose keys are not known to be dead. O(size).
  size_t size() const { return table_.Size(); }
  bool empty() const { return size() == 0; }
  // O(size).
  void clear() { table_.Clear(); }
  // Frees the memory of all dead entries. O(size).
  void Prune() { table_.Prune(); }

 private:
  using Opaque = internal::Opaque;

  // The same references under another type; nothing is counted where one is moved.
  template <typename T>
  static Ref<Opaque> Plain(Ref<T> ref) {
    void* pointer = const_cast<std::remove_const_t<T>*>(ref.Release());
    return Ref<Opaque>::FromOwned(static_cast<Opaque*>(pointer));
  }
  template <typename T>
  static Ref<T> Typed(Ref<Opaque> ref) {
    return Ref<T>::FromOwned(static_cast<T*>(static_cast<void*>(ref.Release())));
  }

  internal::EphemeronTable table_;
};

}  // namespace reef

#endif  // REEF_WEAK_KEY_MAP_H_
