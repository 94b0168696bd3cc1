/* clear.pml: what follows condemning: clear, free, and the next collection.
 *
 * Two garbage objects G0 and G1, each in a slab of its own, refer to one another and to L, which
 * lives. They are condemned (LIVE, white, DEAD) when the model starts; L is black, or a leaf. The
 * collector empties their edges, drops those to L as a thread that is not L's owner does, destroys
 * what died by it, destroys the garbage, gives its blocks back slab by slab, and settles pending
 * drops between two slabs. Then the next collection is armed, with drops of L perhaps still pending.
 * Meanwhile A, to whom L may be biased, copies and drops references to L; B makes objects in free
 * blocks (one in the slab of G0 is free from the start) and drops them again by counts.
 *
 * Checked:
 *   C1  only the garbage is taken for it, and each of it dies once;
 *   C2  no header is touched for an object after its block was freed, or bears another;
 *   C3  a destructor of garbage finds its edges empty;
 *   C4  the next collection does not condemn L while anything refers to it, a pending drop included;
 *   C5  at rest the counts of L are exact, and L is dead exactly when nothing refers to it.
 *
 * Abstracted: sequentially consistent threads (the owner's buffer: count.pml); a count operation is
 * one step once it has read `local`; the barrier is off while the garbage goes (mark.pml,
 * rendezvous.pml), so those drops are not logged; L's holder is a rooted object, traced at once.
 *
 * DROPS, LIVES: references that A copies or drops, objects that B makes.
 *
 * Mutations, each takes out one step:
 *   COLOUR_FIRST      a walk reads a block's colour, then its stage
 *   NO_COLOUR_TEST    LIVE and DEAD is garbage, whatever the colour
 *   BY_COLOUR         an edge's target is garbage if it is not black
 *   COUNT_GARBAGE     edges to garbage are dropped, not just emptied
 *   FREE_AS_CLEARED   a slab's garbage is freed before the next slab is cleared
 *   FREE_UNCLEARED    garbage is freed without being cleared
 *   FREE_LATE         a block is given back, then marked FREE
 *   BLIND_DROP        the drop of an edge does not queue where it should
 *   QUEUED_HEAP       a queued edge's reference is no root
 *   CLEAR_LATE        the next collection arms before the last edge is cleared
 * A variant that passes: NO_DEAD_TEST (LIVE and white is garbage: after condemning nothing else is).
 */
#ifndef DROPS
#define DROPS 2
#endif
#ifndef LIVES
#define LIVES 2
#endif

#define L 3                          /* the blocks: G0, G1, one that is free, L */
#define BLOCKS 4

#define FREE 0
#define BUILDING 1
#define LIVE 2
#define DYING 3
#define DESTROYING 4

#define WHITE 0
#define BLACK 1
#define LEAF 2

byte stage[BLOCKS], colour[BLOCKS];
bool dead[BLOCKS];
bool available[BLOCKS];              /* on a free list */
bool to_peer[2], to_l[2];            /* the edges of G0 and G1 */
byte in_garbage[2];                  /* the counts of G0 and G1, all edges */

/* L's counts; the bias is A's until merged or REVOKING. */
bool biased, revoking, merged, queued;
byte local_ext, local_heap;
short shared_ext, shared_heap;
bool busy;                           /* A's, at L */
bool armed, marked, logged;
bool in_bracket;                     /* A's */

/* Ghosts. */
bool garbage[BLOCKS];                /* this block bears what was condemned */
bool alive;                          /* L */
byte roots, edges, pending;          /* to L: A's, its rooted holder's, queued */
byte in_flight;                      /* out of an edge of the garbage, still counted */
bool a_done;

#ifdef NO_DEAD_TEST
#define IS_DEAD(b) true
#else
#define IS_DEAD(b) dead[b]
#endif
#define REFS (roots + edges + pending + to_l[0] + to_l[1] + in_flight)
#define SUM (shared_ext + shared_heap)

inline end_l() {
  assert(alive && REFS == 0);                                              /* C5 */
  dead[L] = true;
  alive = false
}

inline log_if_white() {
  if
  :: armed && !marked -> logged = true
  :: else
  fi
}

/* The drop of a reference that is not in the owner's half. One step. */
inline drop_shared(is_heap, by_collector) {
  atomic {
    assert(alive);                                                         /* C2 */
    if
    :: by_collector -> in_flight = 0
    :: else
    fi;
    if
#ifndef BLIND_DROP
    :: !merged && !queued && (SUM < 1 || (!is_heap && shared_ext < 1)) ->
       queued = true;
       pending++;
#ifndef QUEUED_HEAP
       if
       :: is_heap -> shared_heap--; shared_ext++
       :: else
       fi
#endif
    :: else ->
#else
    :: true ->
#endif
       if
       :: is_heap -> shared_heap--
       :: else -> shared_ext--
       fi;
       if
       :: merged && SUM == 0 -> end_l()
       :: else
       fi
    fi
  }
}

/* The drop of a reference that the owner's half may count. In a bracket, busy. */
inline drop_owned(is_heap) {
  if
  :: owner && (is_heap -> local_heap : local_ext) > 0 ->
     atomic {
       if
       :: is_heap -> local_heap--
       :: else -> local_ext--
       fi;
       biased = true; revoking = false                /* the owner's store overwrites REVOKING */
     };
     if
     :: local_ext + local_heap == 0 ->
        atomic { biased = false; revoking = false };
        atomic {
          assert(alive);
          merged = true;
          if
          :: SUM == 0 -> end_l()
          :: else
          fi
        }
     :: else
     fi
  :: else -> drop_shared(is_heap, false)
  fi
}

/* A: uses L while the collector lets go of it. */
proctype A() {
  byte n;
  bool owner;
  do
  :: n < DROPS && roots > 0 ->       /* copy */
     n++;
     busy = true;
     atomic { assert(alive); owner = biased };
     if
     :: owner -> atomic { local_ext++; biased = true; revoking = false; roots++ }
     :: else -> atomic { assert(alive); shared_ext++; roots++ }
     fi;
     busy = false; owner = false
  :: n < DROPS && roots > 0 ->       /* drop */
     n++;
     in_bracket = true;
     roots--;
     busy = true;
     atomic { assert(alive); owner = biased; log_if_white() };
     drop_owned(false);
     busy = false; owner = false;
     in_bracket = false
  :: n < DROPS && edges > 0 ->       /* empty an edge of the rooted holder */
     n++;
     in_bracket = true;
     edges--;
     busy = true;
     atomic { assert(alive); owner = biased; log_if_white() };
     drop_owned(true);
     busy = false; owner = false;
     in_bracket = false
  :: true -> break
  od;
  a_done = true
}

/* B: makes objects and drops them. A death by counts is one bracket up to DYING. */
proctype B() {
  byte n, b;
  do
  :: n < LIVES ->
     atomic {
       b = 0;
       do
       :: b < L && !available[b] -> b++
       :: b < L && available[b] -> available[b] = false; break
       :: b == L -> break
       od
     };
     if
     :: b == L -> break
     :: else
     fi;
     n++;
     assert(stage[b] == FREE && !garbage[b]);
     dead[b] = false;
     atomic { colour[b] = BLACK; stage[b] = BUILDING };
     stage[b] = LIVE;
     if
     :: true -> break                /* it stays */
     :: true
     fi;
     atomic { assert(stage[b] == LIVE && !dead[b]); dead[b] = true };      /* C1 */
     atomic { assert(stage[b] == LIVE); stage[b] = DYING };
     stage[b] = DESTROYING;
     stage[b] = FREE;
     available[b] = true
  :: else -> break
  od
}

inline is_condemned(b) {
#ifdef COLOUR_FIRST
  c = colour[b];
  s = stage[b];
#else
  s = stage[b];
  c = colour[b];
#endif
#ifdef NO_COLOUR_TEST
  c = WHITE;
#endif
  atomic {
    condemned = (s == LIVE && c == WHITE && IS_DEAD(b));
    s = 0; c = 0;
    assert(!condemned || garbage[b])                                       /* C1 */
  }
}

/* Empties the edges of garbage i. */
inline clear(i) {
  if
  :: to_peer[i] ->
     to_peer[i] = false;
     atomic {
       assert(garbage[1 - i]);                                             /* C2 */
#ifdef COUNT_GARBAGE
       in_garbage[1 - i]--;
       assert(in_garbage[1 - i] > 0)                                       /* C1 */
#else
       assert(dead[1 - i])
#endif
     }
  :: else
  fi;
  if
  :: to_l[i] ->
#ifdef BY_COLOUR
     if
     :: colour[L] != BLACK -> to_l[i] = false
     :: else -> to_l[i] = false; drop_shared(true, true)
     fi
#else
     atomic { assert(alive && !dead[L]); to_l[i] = false; in_flight = 1 };
     drop_shared(true, true)
#endif
  :: else
  fi
}

/* A revoker works the pending drop off, if it can. */
inline settle() {
  if
  :: pending > 0 ->
     atomic {
       if
       :: biased -> biased = false; revoking = true
       :: else
       fi
     };
     was_busy = busy;
     atomic {
       if
       :: revoking && !was_busy ->
          log_if_white();
          shared_ext = shared_ext + local_ext;
          shared_heap = shared_heap + local_heap;
          local_ext = 0; local_heap = 0;
          revoking = false; merged = true;
          taken = true
       :: !revoking && !biased && merged -> log_if_white(); taken = true
       :: else
       fi;
       if
       :: taken ->
          assert(alive);                                                   /* C2 */
          taken = false; pending--; queued = false;
#ifdef QUEUED_HEAP
          shared_heap--;
#else
          shared_ext--;
#endif
          if
          :: SUM == 0 -> end_l()
          :: else
          fi
       :: else
       fi;
       was_busy = false
     }
  :: else
  fi
}

inline poll() {
  if
  :: true -> settle()
  :: true
  fi
}

/* The destructor of garbage, and its block. */
inline free_block(b) {
  atomic {
    assert(garbage[b] && !to_peer[b] && !to_l[b]);                         /* C3 */
    stage[b] = DESTROYING
  };
#ifdef FREE_LATE
  garbage[b] = false;
  available[b] = true;
  stage[b] = FREE
#else
  atomic { stage[b] = FREE; garbage[b] = false };
  chain = b + 1
#endif
}

inline give_back() {
  if
  :: chain != 0 -> available[chain - 1] = true; chain = 0
  :: else
  fi
}

proctype Collector() {
  byte s, c, chain;
  bool condemned, was_busy, taken, root;

  /* Clear. The walk of slab 0 meets G0 and the block that B uses, that of slab 1 G1. */
#ifndef FREE_UNCLEARED
  is_condemned(0);
  if
  :: condemned -> clear(0)
  :: else
  fi;
#ifdef FREE_AS_CLEARED
  free_block(0);
  give_back();
#endif
  is_condemned(2);
  poll();
#ifndef CLEAR_LATE
  is_condemned(1);
  if
  :: condemned -> clear(1)
  :: else
  fi;
  poll();
#endif
#endif

#ifdef CLEAR_LATE
  armed = true;
  !in_bracket;
  is_condemned(1);
  root = (merged -> shared_ext > 0 : (local_ext > 0 || shared_ext > 0)) || edges > 0;
  marked = root;
  if
  :: condemned -> clear(1)
  :: else
  fi;
#endif

  /* Free. */
#ifndef FREE_AS_CLEARED
  is_condemned(0);
  if
  :: condemned -> free_block(0)
  :: else
  fi;
#endif
  is_condemned(2);
  give_back();
  poll();
  is_condemned(1);
  if
  :: condemned -> free_block(1)
  :: else
  fi;
  give_back();
  condemned = false;

  /* The next collection, as far as L goes. */
#ifndef CLEAR_LATE
  armed = true;
  !in_bracket;                                                /* the rendezvous */
  atomic {
    if
    :: alive ->
       root = (merged -> shared_ext > 0 : (local_ext > 0 || shared_ext > 0));
       marked = root || edges > 0
    :: else
    fi;
    root = false
  };
#endif
  do
  :: poll();
     !in_bracket;
     if
     :: logged -> logged = false; marked = true
     :: else -> break
     fi
  od;
  assert(marked || !alive || REFS == 0);                                   /* C4 */
  armed = false;

  a_done;
  do
  :: pending > 0 -> settle()
  :: else -> break
  od;
  assert(!garbage[0] && !garbage[1]);                                      /* C1 */
  assert(alive == (REFS > 0));                                             /* C5 */
  if
  :: alive && merged -> assert(shared_ext == roots && shared_heap == edges)
  :: alive && !merged ->
     assert(local_ext + shared_ext == roots && local_heap + shared_heap == edges)
  :: else
  fi
}

init {
  byte i;
  atomic {
    do
    :: i < 2 ->
       stage[i] = LIVE; colour[i] = WHITE; dead[i] = true; garbage[i] = true;
       to_peer[i] = true; in_garbage[i] = 1;
       i++
    :: else -> break
    od;
    available[2] = true; dead[2] = true;             /* what its last life left in its header */
    stage[L] = LIVE; alive = true;
    if
    :: colour[L] = BLACK
    :: colour[L] = LEAF
    fi;
    if
    :: to_l[0] = true
    :: to_l[1] = true
    :: to_l[0] = true; to_l[1] = true
    fi;
    if
    :: roots = 1
    :: edges = 1
    :: roots = 1; edges = 1
    :: true                          /* the garbage alone refers to it */
    fi;
    /* Counted by the owner, elsewhere, or in both halves. */
    if
    :: biased = true; local_ext = roots; local_heap = edges + to_l[0] + to_l[1]
    :: roots > 0 -> biased = true; local_ext = roots; shared_heap = edges + to_l[0] + to_l[1]
    :: biased = true; shared_ext = roots; local_heap = edges + to_l[0] + to_l[1]
    :: merged = true; shared_ext = roots; shared_heap = edges + to_l[0] + to_l[1]
    fi;
    run A(); run B(); run Collector()
  }
}
