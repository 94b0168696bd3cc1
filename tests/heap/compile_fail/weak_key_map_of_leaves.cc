// Nobody would follow the hidden edge of a leaf: it cannot be the key of a WeakKeyMap.
// EXPECT: the key of a WeakKeyMap needs a Trace
#include "reef/reef.h"

struct Leaf {};

void Try(reef::WeakKeyMap<Leaf, Leaf>& map, const reef::Ref<Leaf>& key) { map.Set(key, key); }
