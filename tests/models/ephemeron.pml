/* ephemeron.pml: values that hang on their keys, against deaths, the end of the map, a collection.
 *
 * Two objects: a key K and a value V. K's hidden edge leads to V (which stands for anchor, ephemeron
 * and value in one), V's member may lead back to K. User holds roots, finds V through K, sets and
 * drops; Map ends: it locks K and takes V off, or leaves it to K's death. Who brings a count to
 * zero destroys: cell cleared; DESTROYING in a bracket of its own, with a look at the hazard; the
 * hidden edge dropped in another one; FREE. Collector runs one collection meanwhile, and another one
 * when all is at rest.
 *
 * GRAPH 0: K -> V -> K, User has a root to K. 1: no hidden edge yet, User has a root to each.
 * 2: as 1, but K is born by User, perhaps during the collection.
 *
 * Checked:
 *   H1  nothing is condemned that has a root, or hangs on a key that is not condemned;
 *   H2  each object is destroyed once; nothing free is counted, traced or taken off;
 *   H3  a block is free only when its hidden edge is empty;
 *   H4  at the end both are gone: the cycle K -> V -> K keeps nobody.
 *
 * Abstracted: one exact count of each kind (count.pml); no reuse of blocks (weak.pml); sequential
 * consistency; the shard's and the anchor's locks, by atomic steps.
 *
 * OPS: operations of User.
 *
 * Mutations, each takes out one step:
 *   UNTRACED       the marker does not follow the hidden edge
 *   UNTRACED_LAST  ... of a key that is DYING or DESTROYING
 *   UNLOGGED       the map takes V off without logging it
 *   UNLOGGED_SET   the hidden edge is set without logging V
 *   UNLOGGED_DEATH the dying key drops it without logging V
 *   DROP_OUTSIDE   V is counted down after the bracket that emptied the edge
 *   UNLOCKED       the map takes V off without a root to K
 *   UNCLEARED      the clear phase leaves the hidden edge of a condemned key
 *   FREE_FIRST     the hidden edge is dropped when the block is FREE already
 * A variant that passes: DROP_FIRST, the hidden edge is dropped before the destructor begins.
 */
#ifndef OPS
#define OPS 2
#endif
#ifndef GRAPH
#define GRAPH 0
#endif

#define K 0
#define V 1
#define FREE 0
#define LIVE 1
#define DYING 2
#define DESTROYING 3

byte stage[2];
bool dead[2], black[2];
byte ext[2], heap[2];
bool hangs, back;                   /* the edges K -> V, V -> K */
bool cell;                           /* K's, leads to it */
bool taken_off;                      /* V is in the map no more */
bool locked;                         /* its shard, by User */

byte mode;                           /* 0 idle, 1 logging, 2 marking */
bool logged[2];
byte revivals;                       /* in the log */
bool closed;                         /* the door */
byte inside;
bool hazard[2], handed[2];

bool in_bracket[3], turn[3];         /* of User, Map, Collector */
byte done;

#define BEGIN atomic { in_bracket[p] = true; armed = mode }
#define END atomic { in_bracket[p] = false; turn[p] = !turn[p]; armed = 0 }
#define LOG(o) if :: armed != 0 && !black[o] -> logged[o] = true :: else fi

inline zero(o) {                     /* part of an exchange */
  if
  :: ext[o] + heap[o] == 0 && !dead[o] ->
     assert(stage[o] == LIVE);
     dead[o] = true; stage[o] = DYING; due[o] = true
  :: else
  fi
}
inline drop_heap(o) {
  atomic { assert(stage[o] != FREE && heap[o] > 0); heap[o]--; zero(o) }
}
inline drop_ext(o) {                 /* a bracket */
  BEGIN;
  atomic { LOG(o); assert(stage[o] != FREE && ext[o] > 0); ext[o]--; zero(o) };
  END
}

/* Empties K's hidden edge, or V's member: a bracket each. */
inline empty_hidden() {
  BEGIN;
  if
  :: atomic {
       hangs ->
#ifndef UNLOGGED_DEATH
       LOG(V);
#endif
       hangs = false
     };
#ifdef DROP_OUTSIDE
     END; BEGIN;
#endif
     drop_heap(V)
  :: else
  fi;
  END
}
inline empty_back() {
  BEGIN;
  if
  :: atomic { back -> LOG(K); back = false }; drop_heap(K)
  :: else
  fi;
  END
}

/* The destructor of a DEAD object, unless a marker traces it. */
inline destroy(o) {
  if
  :: atomic { stage[o] == DYING -> due[o] = false; cell = cell && o != K } ->
#ifdef DROP_FIRST
     if
     :: o == K -> empty_hidden()
     :: else
     fi;
#endif
     BEGIN;
     atomic { assert(stage[o] == DYING); stage[o] = DESTROYING };
     atomic {
       if
       :: armed != 0 && hazard[o] -> handed[o] = true; stop = true
       :: else
       fi
     };
     END
  :: else -> atomic { due[o] = false; assert(stage[o] == DESTROYING) }
  fi;
  if
  :: stop -> stop = false
  :: else ->
     if
     :: o == V -> empty_back()
     :: else ->
#ifdef FREE_FIRST
        stage[o] = FREE;
#endif
        empty_hidden()
     fi;
     atomic {
       assert(o == V || !hangs);                                             /* H3 */
       stage[o] = FREE
     }
  fi
}
inline settle() {
  do
  :: due[K] -> destroy(K)
  :: due[V] -> destroy(V)
  :: !due[K] && !due[V] -> break
  od
}

proctype User() {
  byte p = 0, armed, k, root[2];
  bool due[2], stop;
  root[K] = (GRAPH != 2);
  root[V] = (GRAPH != 0);
  do
  :: atomic {                        /* Find, under the shard's lock */
       k < OPS && root[K] > 0 && root[V] < 2 && !locked ->
       k++;
       if
       :: hangs && !taken_off -> assert(stage[V] == LIVE && !dead[V]); ext[V]++; root[V]++
       :: else
       fi
     }
  :: atomic { k < OPS && root[K] > 0 -> k++; root[K]-- }; drop_ext(K); settle()
  :: atomic { k < OPS && root[V] > 0 -> k++; root[V]-- }; drop_ext(V); settle()
  :: atomic { k < OPS && root[V] > 0 && back -> k++ }; empty_back(); settle()
  :: atomic { k < OPS && root[V] > 0 && root[K] > 0 && !back -> k++ };
     BEGIN;
     atomic { LOG(K); heap[K]++; back = true };
     END
  :: atomic { k < OPS && root[K] > 0 && root[V] > 0 && !hangs && !taken_off ->
              k++; locked = true };  /* Set, under the shard's lock */
     BEGIN;
     atomic {
#ifndef UNLOGGED_SET
       LOG(V);
#endif
       hangs = true
     };
     atomic { heap[V]++; ext[V]--; root[V]-- };
     END;
     locked = false
  :: atomic { k < OPS && GRAPH == 2 && stage[K] == FREE && !dead[K] -> k++ };
     BEGIN;                          /* the birth word turns black with MARKING */
     atomic { stage[K] = LIVE; black[K] = (armed == 2); ext[K] = 1; cell = true; root[K] = 1 };
     END
  :: k == OPS || (root[K] == 0 && root[V] == 0) -> break
  od;
  do
  :: atomic { root[K] > 0 -> root[K]-- }; drop_ext(K); settle()
  :: atomic { root[K] == 0 && root[V] > 0 -> root[V]-- }; drop_ext(V); settle()
  :: root[K] == 0 && root[V] == 0 -> break
  od;
  done++
}

/* The end of the map: each entry is locked, then taken off. */
proctype Map() {
  byte p = 1, armed;
  bool due[2], stop, got, was_in;
  atomic { !locked -> was_in = hangs; taken_off = true };    /* the shard is emptied */
#ifndef UNLOCKED
  BEGIN;
  if
  :: !cell -> skip
  :: cell && armed != 0 && !black[K] ->
     if
     :: atomic { !closed -> inside++ } ->
        atomic {
          if
          :: dead[K] -> inside--
          :: else -> ext[K]++; got = true
          fi
        };
        if
        :: got -> revivals++
        :: else
        fi
     :: atomic { closed -> skip } ->
        atomic {
          if
          :: black[K] && !dead[K] -> ext[K]++; got = true
          :: else
          fi
        }
     fi
  :: cell && (armed == 0 || black[K]) ->
     atomic {
       if
       :: dead[K] -> skip
       :: else -> ext[K]++; got = true
       fi
     }
  :: else
  fi;
  END;
#else
  got = was_in;
#endif
  if
  :: got && was_in ->
     BEGIN;
     atomic { assert(stage[V] != FREE) };                                     /* H2 */
     if
     :: atomic {
          hangs ->
#ifndef UNLOGGED
          LOG(V);
#endif
          hangs = false
        };
#ifdef DROP_OUTSIDE
        END; BEGIN;
#endif
        drop_heap(V)
     :: else
     fi;
     END;
     settle()
  :: else
  fi;
#ifndef UNLOCKED
  if
  :: got -> drop_ext(K); settle()
  :: else
  fi;
#endif
  done++
}

#define ENDED(x) (!open_then[x] || !in_bracket[x] || turn[x] != turn_then[x])
inline rendezvous() {
  atomic {
    open_then[0] = in_bracket[0]; open_then[1] = in_bracket[1];
    turn_then[0] = turn[0]; turn_then[1] = turn[1]
  };
  ENDED(0) && ENDED(1)
}
inline take_handed() {
  d_step { due[K] = handed[K]; due[V] = handed[V]; handed[K] = false; handed[V] = false };
  settle()
}
inline scan(o) {
  atomic {
    if
    :: stage[o] != FREE && !black[o] && (ext[o] > 0 || stage[o] >= DYING) -> push[o] = true
    :: else
    fi
  }
}
inline follow(o) {
  if
  :: atomic { !black[o] -> push[o] = false; black[o] = true; hazard[o] = true };
     s = stage[o];
     atomic {
       if
       :: s == FREE -> skip
#ifdef UNTRACED
       :: s != FREE && o == K -> skip
#endif
#ifdef UNTRACED_LAST
       :: s >= DYING && o == K -> skip
       :: s == LIVE && o == K && hangs -> push[V] = true
#else
       :: s != FREE && o == K && hangs -> push[V] = true
#endif
       :: s != FREE && o == V && back -> push[K] = true
       :: else
       fi;
       assert(s == FREE || s == DESTROYING || stage[o] != FREE)               /* H2 */
     };
     atomic { hazard[o] = false; s = 0 }
  :: else -> push[o] = false
  fi
}
inline condemn(o) {
  atomic {
    if
    :: stage[o] == LIVE && !black[o] && !dead[o] ->
       assert(ext[o] == 0);                                                   /* H1 */
       assert(o == K || !hangs || stage[K] == FREE || condemned[K]);
       dead[o] = true; condemned[o] = true;
       if
       :: o == K -> cell = false
       :: else
       fi
    :: else
    fi
  }
}
inline clear(o) {                    /* an edge to `o` of a condemned object was emptied */
  if
  :: dead[o] -> skip
  :: else -> BEGIN; drop_heap(o); END
  fi
}
inline free(o) {
  if
  :: condemned[o] ->
     atomic {
       assert(stage[o] == LIVE && ext[o] == 0);                               /* H2 */
       assert(o == V || !hangs);                                             /* H3 */
       stage[o] = FREE; condemned[o] = false
     }
  :: else
  fi
}

proctype Collector() {
  byte p = 2, armed, s, round, drained;
  bool due[2], stop, push[2], condemned[2], found, open_then[2], turn_then[2];
  do
  :: round < 2 ->
     round++;
     if
     :: round == 2 -> done == 2
     :: else
     fi;
     atomic { black[K] = false; black[V] = false; mode = 1 };
     rendezvous();
     mode = 2;
     rendezvous();
     scan(K);
     scan(V);
     do
     :: push[K] -> follow(K)
     :: push[V] -> follow(V)
     :: !push[K] && !push[V] ->
        atomic { inside = inside - drained; drained = 0 };
        rendezvous();
        take_handed();
        found = false;
        atomic {
          drained = revivals;
          if
          :: revivals > 0 -> found = true; revivals = 0; push[K] = !black[K]
          :: else
          fi
        };
        d_step {
          if
          :: logged[K] && !black[K] -> push[K] = true; found = true
          :: else
          fi;
          if
          :: logged[V] && !black[V] -> push[V] = true; found = true
          :: else
          fi;
          logged[K] = false; logged[V] = false
        };
        if
        :: found -> skip
        :: else ->
           if
           :: atomic { inside == 0 -> closed = true } -> break
           :: inside != 0 -> skip
           fi
        fi
     od;
     condemn(K);
     condemn(V);
     mode = 0;
     rendezvous();
     d_step { logged[K] = false; logged[V] = false; revivals = 0; inside = 0; closed = false };
     take_handed();
     if
     :: condemned[K] && hangs ->
#ifndef UNCLEARED
        hangs = false; clear(V)
#endif
     :: else
     fi;
     if
     :: condemned[V] && back -> back = false; clear(K)
     :: else
     fi;
     settle();
     free(K);
     free(V);
  :: round == 2 -> break
  od;
  assert(stage[K] == FREE && stage[V] == FREE && !hangs)                     /* H4 */
}

init {
  atomic {
    stage[V] = LIVE;
    if
    :: GRAPH == 0 ->
       stage[K] = LIVE; cell = true; ext[K] = 1; heap[K] = 1; heap[V] = 1;
       hangs = true; back = true
    :: GRAPH == 1 -> stage[K] = LIVE; cell = true; ext[K] = 1; ext[V] = 1
    :: GRAPH == 2 -> ext[V] = 1
    fi;
    run User(); run Map(); run Collector()
  }
}
