// The tables of WeakKeyMap, and what is behind them: values that hang on their keys.
//
//   key --hidden edge--> anchor --> ephemeron --> ephemeron     one for each map that has the key
//                                      |             |
//                                    value         value
//
// A map holds a weak handle to each key and a plain pointer to its ephemeron, and no reference to
// either. So a value is reachable if and only if its key is, or something else refers to it; that
// is decided by counts and by marking as for any edge, and nothing in the collector knows of maps.
//
// The plain pointer is used by who has a root to the key: then the key lives, with all that it
// holds, and an ephemeron is taken off only by the map whose it is, under the lock of the shard
// that holds the pointer, or after the pointer was taken out of that shard. The death of a key
// happens when nobody has a root to it, nor will have one: so it needs no lock, and drops the
// anchor with everything behind it as it drops a member. (Section 18 of docs/protocols.md.)
#include "reef/weak_key_map.h"

#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "lib/object/deferral.h"
#include "lib/object/hidden_edge.h"
#include "lib/object/subject.h"
#include "lib/os/chaos.h"
#include "lib/os/fault.h"
#include "reef/internal/edge.h"
#include "reef/internal/make.h"
#include "reef/member.h"
#include "reef/trace.h"

namespace reef::internal {

// What one map keeps on one key. `value` is changed under the lock of the map's shard, `next` under
// the anchor's.
struct Ephemeron {
  void Trace(Visitor& v) const {
    v.Visit(next);
    v.VisitEdge(value);
  }
  Member<Ephemeron> next;
  Edge value;
};

namespace {

// What maps keep on one key.
struct Anchor {
  void Trace(Visitor& v) const { v.Visit(first); }
  // Taken inside a shard's. Held for a few stores; no program code runs under it.
  std::mutex mutex;
  Member<Ephemeron> first;
};

using object::Deferral;

Anchor* FindAnchor(const Ref<Opaque>& key) {
  const Edge* edge = object::HiddenEdgeOf(Header::Of(key.get()));
  // Acquire: another thread may have set it.
  return edge == nullptr ? nullptr : static_cast<Anchor*>(edge->GetForMarker());
}

// An object of the engine's own, in the key's heap.
template <typename T>
Ref<T> MakeBeside(const Ref<Opaque>& key) {
  HeapCore* core = SegmentOf(Header::Of(key.get()))->core;
  T* object = TryMakeObject<T>(core, core->index);
  if (object == nullptr) ThrowOutOfMemory(core, sizeof(T));
  return Ref<T>::FromOwned(object);
}

// The key's anchor, made if it has none. The key has a weak cell.
Anchor* AnchorOf(const Ref<Opaque>& key) {
  if (Anchor* anchor = FindAnchor(key)) return anchor;
  Ref<Anchor> fresh = MakeBeside<Anchor>(key);
  if (object::SetHiddenEdge(Header::Of(key.get()), fresh.get())) return fresh.Release();
  return FindAnchor(key);  // another thread's, and there for as long as the key
}

// Between the two stores what hangs on the anchor hangs on `fresh` alone, which is a root.
void Link(Anchor* anchor, Ref<Ephemeron> fresh) {
  const std::lock_guard<std::mutex> lock(anchor->mutex);
  fresh->next = std::move(anchor->first);
  REEF_CHAOS_POINT("ephemerons hang on the new one, which is not linked");
  anchor->first = std::move(fresh);
}

// Takes an ephemeron off, which is there; O(maps that have the key).
Ref<Ephemeron> Unlink(Anchor* anchor, const Ephemeron* ephemeron) {
  const std::lock_guard<std::mutex> lock(anchor->mutex);
  Member<Ephemeron>* link = &anchor->first;
  while (link->get() != ephemeron) link = &(*link)->next;
  Ref<Ephemeron> taken = link->Take();
  REEF_CHAOS_POINT("ephemeron taken off, the rest hangs on it");
  *link = std::move(taken->next);
  return taken;
}

Ref<Opaque> ValueOf(const Ephemeron* ephemeron) {
  return Ref<Opaque>::FromManaged(static_cast<Opaque*>(ephemeron->value.Get()));
}

Ref<Opaque> TakeValue(Ephemeron* ephemeron) {
  return Ref<Opaque>::FromOwned(static_cast<Opaque*>(ephemeron->value.Take()));
}

void CheckPair(const Header* key, const Header* value) {
  REEF_CHECK_OF(IsTraced(SlabOf(key)->kind), object::SubjectOf(key),
                "the key of a WeakKeyMap is an object whose type has no Trace",
                "the collector follows no edge of a leaf: give the type a public "
                "`void Trace(reef::Visitor&) const`");
  if (REEF_LIKELY(SegmentOf(key)->core == SegmentOf(value)->core)) return;
  REEF_DCHECK(false, "key and value of a WeakKeyMap are of different heaps",
              "make both in one heap: the key holds its value by an edge");
  throw std::invalid_argument("reef: key and value of a WeakKeyMap are of different heaps");
}

}  // namespace

void EphemeronTable::Shard::Prune() {
  std::erase_if(entries, [](const auto& entry) { return entry.first.IsKnownDead(); });
  prune_at = entries.size() * 2 + 16;
}

Ref<Opaque> EphemeronTable::Find(const Ref<Opaque>& key) const {
  // Without a cell it is in no map.
  if (CountHandles(Header::Of(key.get())) == 0) return nullptr;
  const Weak<Opaque> weak = key;
  const Shard& shard = ShardOf(weak);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto found = shard.entries.find(weak);
  return found == shard.entries.end() ? nullptr : ValueOf(found->second);
}

Ref<Opaque> EphemeronTable::Exchange(const Ref<Opaque>& key, Ref<Opaque> value) {
  return Enter(key, std::move(value), /*replace=*/true);
}

Ref<Opaque> EphemeronTable::Insert(const Ref<Opaque>& key, Ref<Opaque> value) {
  return Enter(key, std::move(value), /*replace=*/false);
}

Ref<Opaque> EphemeronTable::Enter(const Ref<Opaque>& key, Ref<Opaque> value, bool replace) {
  CheckPair(Header::Of(key.get()), Header::Of(value.get()));
  const Weak<Opaque> weak = key;
  Shard& shard = ShardOf(weak);
  Ref<Ephemeron> fresh;
  Anchor* anchor = nullptr;
  // Twice at most: what an entry needs is made without the lock.
  for (;; fresh = MakeBeside<Ephemeron>(key), anchor = AnchorOf(key)) {
    const Deferral deferral(CurrentSlot());
    const std::lock_guard<std::mutex> lock(shard.mutex);
    const auto found = shard.entries.find(weak);
    if (found != shard.entries.end()) {
      if (!replace) return ValueOf(found->second);
      Ref<Opaque> former = TakeValue(found->second);
      found->second->value.Adopt(value.Release());
      return former;
    }
    if (!fresh) continue;
    if (shard.entries.size() >= shard.prune_at) shard.Prune();
    os::ThrowIfFaultDue();
    shard.entries.emplace(weak, fresh.get());
    // Nothing throws from here on.
    fresh->value.Adopt(value.Release());
    Link(anchor, std::move(fresh));
    return nullptr;
  }
}

Ref<Opaque> EphemeronTable::Take(const Ref<Opaque>& key) {
  if (CountHandles(Header::Of(key.get())) == 0) return nullptr;
  const Weak<Opaque> weak = key;
  Shard& shard = ShardOf(weak);
  Ref<Ephemeron> taken;  // goes after the lock
  const Deferral deferral(CurrentSlot());
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto found = shard.entries.find(weak);
  if (found == shard.entries.end()) return nullptr;
  taken = Unlink(FindAnchor(key), found->second);
  shard.entries.erase(found);
  return TakeValue(taken.get());
}

std::vector<EphemeronTable::Entry> EphemeronTable::Alive(size_t index) const {
  const Shard& shard = shards_[index];
  std::vector<Entry> alive;
  const Deferral deferral(CurrentSlot());
  const std::lock_guard<std::mutex> lock(shard.mutex);
  os::ThrowIfFaultDue();
  alive.reserve(shard.entries.size());
  for (const auto& [weak, ephemeron] : shard.entries) {
    // Only with a root to the key may the ephemeron be looked at.
    if (Ref<Opaque> key = weak.Lock()) alive.emplace_back(std::move(key), ValueOf(ephemeron));
  }
  return alive;
}

size_t EphemeronTable::Size() const {
  size_t count = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    for (const auto& entry : shard.entries) count += entry.first.IsKnownDead() ? 0 : 1;
  }
  return count;
}

void EphemeronTable::Clear() noexcept {
  for (Shard& shard : shards_) {
    Pointers entries;
    {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      entries.swap(shard.entries);
    }
    for (const auto& [weak, ephemeron] : entries) {
      // A key that cannot be locked any more drops its ephemerons by itself.
      const Ref<Opaque> key = weak.Lock();
      if (!key) continue;
      const Deferral deferral(CurrentSlot());
      (void)Unlink(FindAnchor(key), ephemeron);
    }
  }
}

void EphemeronTable::Prune() {
  for (Shard& shard : shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    shard.Prune();
  }
}

}  // namespace reef::internal
