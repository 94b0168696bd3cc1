/* mark.pml: arming, deletion barrier, roots, marking, termination and condemning.
 *
 * Three objects with one edge each, two mutators with two `Ref`s each (and one global `Ref` that
 * they exchange), one collector, one cycle. Objects die by counts as well: the last drop makes
 * them DYING inside its bracket, the destructor runs outside, its edge goes in a bracket again.
 * A rendezvous waits until each mutator has been outside its brackets (rendezvous.pml shows that
 * the real one amounts to this).
 *
 * Checked:
 *   M1  no object that can be reached (from a Ref, through edges, from what is in flight inside an
 *       operation, from what is being built or destroyed) is condemned;
 *   M2  nobody touches an object that is free or condemned;
 *   M3  what was garbage when LOGGING was stored is condemned in this cycle.
 *
 * Abstracted: one ext and one heap count per object (the two words: count.pml, at rest); threads
 * are sequentially consistent; a marker traces one object in one step (hazard.pml); weak handles,
 * finalizers, ReadScopes and the clear phase; edges behave like AtomicMember, so that no rule
 * about who may write them is needed.
 *
 * GRAPH chooses one of six heaps at the start (default: any); OPS0 and OPS1 say how many
 * operations the mutators make.
 *
 * Mutations, each takes out one step:
 *   ONE_RENDEZVOUS     LOGGING and MARKING begin together, one rendezvous
 *   NO_LOG_OVERWRITE   an overwritten or moved-from edge is not logged
 *   NO_LOG_DESTROYED   an edge that its holder's destructor drops is not logged
 *   NO_LOG_EXT         the drop of the last Ref is not logged
 *   NO_LOG_CONVERT     the conversion of the last Ref into an edge is not logged
 *   COLOUR_LATE        the colour is read after the decrement
 *   DROP_OUTSIDE       the overwritten target is counted down after the bracket
 *   CONVERT_OUTSIDE    the moved Ref is converted before the edge's bracket
 *   DYING_OUTSIDE      the count goes to zero inside, the stage becomes DYING after the bracket
 *   SKIP_DYING         the root scan ignores DYING objects
 *   SKIP_PAYLOAD       the root scan ignores BUILDING and DESTROYING objects
 *   SKIP_MET_PAYLOAD   marking ignores BUILDING and DESTROYING objects that it meets
 *   NO_LAST_RENDEZVOUS the logs are taken without a rendezvous before it
 *   TAKE_ONCE          the logs are taken once, without repeating until nothing is new
 * Not a mutation but a variant that passes: NO_LOG_NEW (the new target of an edge store is logged
 * for the sake of ReadScopes only, which are not modelled).
 */
#ifdef GRAPH
#define START(g) g == GRAPH
#else
#define START(g) true
#endif
#ifndef OPS0
#define OPS0 2
#endif
#ifndef OPS1
#define OPS1 1
#endif

#define NIL 3

#define FREE 0 /* stages */
#define BUILDING 1
#define LIVE 2
#define DYING 3
#define DESTROYING 4
#define CONDEMNED 5

#define IDLE 0 /* modes */
#define LOGGING 1
#define MARKING 2

byte mode = IDLE;
bool in_bracket[2];
bool turn[2];                     /* changes at every end of a bracket: the sequence */

/* Index NIL is a dustbin, so that no access needs a test. */
byte edge[4], ext[4], heap[4], stage[4];
bool black[4], grey[4];
bool log[8];                      /* mutator m's log has x: log[4m + x] */

byte ref[4];                      /* Refs: mutator m has ref[2m] and ref[2m+1] */
byte global = NIL;

/* Ghosts. */
byte old_target[2], new_target[2], victim[2];   /* in flight in mutator m */
bool reach[4], was_garbage[4];

#define USABLE(x) assert(stage[x] != FREE && stage[x] != CONDEMNED)
#define UNFINISHED(x) (stage[x] == BUILDING || stage[x] == DESTROYING)

inline find_reachable() {
  i = 0;
  do
  :: i < 3 -> reach[i] = (stage[i] == DYING || UNFINISHED(i)); i++
  :: else -> break
  od;
  reach[ref[0]] = true; reach[ref[1]] = true; reach[ref[2]] = true; reach[ref[3]] = true;
  reach[global] = true;
  reach[old_target[0]] = true; reach[new_target[0]] = true; reach[victim[0]] = true;
  reach[old_target[1]] = true; reach[new_target[1]] = true; reach[victim[1]] = true;
  j = 0;
  do
  :: j < 6 ->                     /* two sweeps over three objects reach the fixpoint */
     i = j % 3;
     if
     :: reach[i] && stage[i] != FREE && stage[i] != CONDEMNED -> reach[edge[i]] = true
     :: else
     fi;
     j++
  :: else -> break
  od;
  reach[NIL] = false;
  i = 0;
  j = 0
}

/* ---- Mutators ---- */
#define BEGIN atomic { in_bracket[m] = true; md = mode }
#define END atomic { in_bracket[m] = false; turn[m] = !turn[m]; md = IDLE }

inline log_if_white(x) {
  atomic {
    if
    :: md != IDLE && x != NIL ->
       USABLE(x);
       if
       :: !black[x] -> log[4 * m + x] = true
       :: else
       fi
    :: else
    fi
  }
}

/* Takes one count of x; the colour is read before the count goes. */
#ifdef DYING_OUTSIDE
#define SET_DYING(x) skip
#else
#define SET_DYING(x) stage[x] = DYING
#endif

inline decide_death(x) {
  if
  :: ext[x] + heap[x] == 0 -> SET_DYING(x); dying = x
  :: else
  fi
}

inline drop_heap(x) {             /* also ends the ghost */
  atomic {
    if
    :: x != NIL -> USABLE(x); heap[x]--; decide_death(x)
    :: else
    fi;
    old_target[m] = NIL
  }
}

inline move_out(h, a) {
  BEGIN;
  atomic { USABLE(h); o = edge[h]; edge[h] = NIL; old_target[m] = o };
#ifndef NO_LOG_OVERWRITE
  log_if_white(o);
#endif
  atomic {
    if
    :: o != NIL -> USABLE(o); ext[o]++; heap[o]--; ref[a] = o
    :: else
    fi;
    old_target[m] = NIL; o = NIL
  };
  END
}

/* Destroys `dying` and whatever dies by that. User code runs outside brackets. */
inline destroy() {
  do
  :: dying != NIL ->
     atomic { victim[m] = dying; dying = NIL };
#ifdef DYING_OUTSIDE
     atomic { USABLE(victim[m]); stage[victim[m]] = DYING };
#endif
     atomic { assert(stage[victim[m]] == DYING); stage[victim[m]] = DESTROYING };
     if                           /* user code may save what its edge holds */
     :: ref[2 * m] == NIL && edge[victim[m]] != NIL -> move_out(victim[m], 2 * m)
     :: true
     fi;
     BEGIN;
     atomic { o = edge[victim[m]]; edge[victim[m]] = NIL; old_target[m] = o };
#ifndef NO_LOG_DESTROYED
     log_if_white(o);
#endif
#ifdef DROP_OUTSIDE
     END; drop_heap(o);
#else
     drop_heap(o); END;
#endif
     atomic {
       assert(stage[victim[m]] == DESTROYING);
       stage[victim[m]] = FREE; black[victim[m]] = false; grey[victim[m]] = false;
       victim[m] = NIL; o = NIL
     }
  :: else -> break
  od
}

inline drop_ref(a) {
  BEGIN;
#ifdef COLOUR_LATE
  atomic {
    o = ref[a]; ref[a] = NIL; old_target[m] = o;
    USABLE(o); ext[o]--; last = (ext[o] == 0); decide_death(o)
  };
  if
  :: last -> log_if_white(o)
  :: else
  fi;
  old_target[m] = NIL;
#else
  atomic {
    o = ref[a]; ref[a] = NIL;
#ifndef NO_LOG_EXT
    if
    :: ext[o] == 1 -> log_if_white(o)
    :: else
    fi;
#endif
    USABLE(o); ext[o]--; decide_death(o)
  };
#endif
  END;
  o = NIL;
  last = false
}

inline replace_edge(h, t) {       /* the middle of an edge store: exchange, log, count down */
  atomic { USABLE(h); o = edge[h]; edge[h] = t; old_target[m] = o; new_target[m] = NIL };
#ifndef NO_LOG_OVERWRITE
  log_if_white(o);
#endif
#ifdef DROP_OUTSIDE
  END; drop_heap(o)
#else
  drop_heap(o); END
#endif
}

inline store_copy(h, t) {
  atomic {
    new_target[m] = t;
    if
    :: t != NIL -> USABLE(t); heap[t]++
    :: else
    fi
  };
  BEGIN;
#ifndef NO_LOG_NEW
  log_if_white(t);
#endif
  replace_edge(h, t);
  o = NIL
}

inline convert(a) {               /* Ref a becomes an edge-to-be, n */
  atomic {
    n = ref[a]; ref[a] = NIL; new_target[m] = n;
    USABLE(n);
#ifndef NO_LOG_CONVERT
    if
    :: ext[n] == 1 -> log_if_white(n)
    :: else
    fi;
#endif
    heap[n]++; ext[n]--
  }
}

inline store_move(h, a) {
#ifdef CONVERT_OUTSIDE
  atomic { md = mode; convert(a) };
  BEGIN;
#else
  BEGIN;
  convert(a);
#endif
  replace_edge(h, n);
  n = NIL; o = NIL
}

inline copy_out(h, a) {
  atomic {
    USABLE(h);
    if
    :: edge[h] != NIL -> USABLE(edge[h]); ext[edge[h]]++; ref[a] = edge[h]
    :: else
    fi
  }
}

inline make(x, a, b) {            /* x is born into Ref a; its constructor may take Ref b */
  BEGIN;
  atomic {
    if
    :: stage[x] == FREE ->
       stage[x] = BUILDING; black[x] = (md == MARKING); grey[x] = false;
       ext[x] = 1; heap[x] = 0; edge[x] = NIL; ref[a] = x; born = true
    :: else
    fi
  };
  END;
  if
  :: born && ref[b] != NIL ->
     store_move(x, b);
     born = false
  :: else
  fi;
  atomic {
    if
    :: ref[a] == x && stage[x] == BUILDING -> stage[x] = LIVE
    :: else
    fi;
    born = false
  }
}

proctype Mutator(byte m; byte ops) {
  byte k, a, b, o = NIL, n = NIL, dying = NIL, md;
  bool last, born;
  do
  :: k < ops ->
     atomic {
       k++;
       if
       :: a = 2 * m; b = 2 * m + 1
       :: b = 2 * m; a = 2 * m + 1
       fi
     };
     if
     :: ref[a] != NIL -> drop_ref(a)
     :: ref[a] != NIL -> store_copy(ref[a], ref[b])
     :: ref[a] != NIL && ref[b] != NIL && ref[a] != ref[b] -> store_move(ref[a], b)
     :: ref[a] != NIL && ref[b] == NIL -> move_out(ref[a], b)
     :: ref[a] != NIL && ref[b] == NIL -> copy_out(ref[a], b)
     :: ref[a] == NIL && stage[2] == FREE -> make(2, a, b)
     :: atomic { o = global; global = ref[a]; ref[a] = o; o = NIL }
     fi;
     destroy()
  :: break
  od
}

/* ---- Collector ---- */
inline wait_for(x) {
  if
  :: !in_bracket[x] -> skip
  :: else -> seen = turn[x]; (!in_bracket[x] || turn[x] != seen)
  fi
}

inline rendezvous() { wait_for(0); wait_for(1); seen = false }

inline shade(x) {
  if
  :: x != NIL && stage[x] != FREE && stage[x] != CONDEMNED && !black[x] ->
     black[x] = true; grey[x] = true; news = true
  :: else
  fi
}

inline blacken(x) {
  atomic {
    grey[x] -> grey[x] = false;
    if
#ifdef SKIP_MET_PAYLOAD
    :: UNFINISHED(x) -> skip
#endif
    :: stage[x] != FREE && stage[x] != CONDEMNED -> shade(edge[x])
    :: else
    fi
  }
}

inline take(from, x) {
  if
  :: log[4 * from + x] -> log[4 * from + x] = false; shade(x)
  :: else
  fi
}

proctype Collector() {
  byte i, j;
  bool news, seen;
  atomic {
    find_reachable();
    do
    :: i < 3 -> was_garbage[i] = (stage[i] == LIVE && !reach[i]); i++
    :: else -> break
    od;
    i = 0;
#ifdef ONE_RENDEZVOUS
    mode = MARKING
#else
    mode = LOGGING
#endif
  };
#ifndef ONE_RENDEZVOUS
  rendezvous();                   /* T0 */
  mode = MARKING;
#endif
  rendezvous();                   /* T1 */
  do                              /* roots, header by header */
  :: i < 3 ->
     atomic {
       if
#ifdef SKIP_DYING
       :: stage[i] == LIVE && ext[i] > 0 -> shade(i)
#else
       :: stage[i] == DYING || (stage[i] == LIVE && ext[i] > 0) -> shade(i)
#endif
#ifndef SKIP_PAYLOAD
       :: UNFINISHED(i) -> black[i] = true; shade(edge[i])
#endif
       :: else
       fi;
       i++
     }
  :: else -> break
  od;
  do                              /* mark */
  :: blacken(0)
  :: blacken(1)
  :: blacken(2)
  :: !grey[0] && !grey[1] && !grey[2] ->
     news = false;
#ifndef NO_LAST_RENDEZVOUS
     rendezvous();
#endif
     atomic { take(0, 0); take(0, 1); take(0, 2) };
     atomic { take(1, 0); take(1, 1); take(1, 2) };
#ifdef TAKE_ONCE
     news = false;
     do
     :: blacken(0)
     :: blacken(1)
     :: blacken(2)
     :: !grey[0] && !grey[1] && !grey[2] -> break
     od;
#endif
     if
     :: !news -> break
     :: else
     fi
  od;
  atomic {                        /* close and condemn */
    find_reachable();
    do
    :: i < 3 ->
       if
       :: stage[i] == LIVE && !black[i] -> assert(!reach[i]); stage[i] = CONDEMNED
       :: else
       fi;
       assert(!was_garbage[i] || stage[i] == CONDEMNED);
       i++
    :: else -> break
    od;
    mode = IDLE
  }
}

#define ROOT(r, x) ref[r] = x; ext[x]++
#define EDGE(x, y) edge[x] = y; heap[y]++

init {
  atomic {
    edge[0] = NIL; edge[1] = NIL; edge[2] = NIL; edge[3] = NIL;
    ref[0] = NIL; ref[1] = NIL; ref[2] = NIL; ref[3] = NIL;
    old_target[0] = NIL; new_target[0] = NIL; victim[0] = NIL;
    old_target[1] = NIL; new_target[1] = NIL; victim[1] = NIL;
    stage[0] = LIVE; stage[1] = LIVE; stage[2] = LIVE;
    if
    :: START(0) ->                /* 0 -> 1 -> 2, both hold 0 */
       ROOT(0, 0); ROOT(2, 0); EDGE(0, 1); EDGE(1, 2)
    :: START(1) ->                /* both hold 0; 1 <-> 2 is garbage */
       ROOT(0, 0); ROOT(2, 0); EDGE(1, 2); EDGE(2, 1)
    :: START(2) ->                /* 0 <-> 1, each held by one; 2 free */
       ROOT(0, 0); ROOT(2, 1); EDGE(0, 1); EDGE(1, 0); stage[2] = FREE
    :: START(3) ->                /* both hold 0, the first also 1; 2 free */
       ROOT(0, 0); ROOT(1, 1); ROOT(2, 0); stage[2] = FREE
    :: START(4) ->                /* 0 -> 1 <-> 2, the first holds 0, the second 2 */
       ROOT(0, 0); ROOT(2, 2); EDGE(0, 1); EDGE(1, 2); EDGE(2, 1)
    :: START(5) ->                /* 0 -> 1 -> 2, held by the first and the global Ref */
       ROOT(0, 0); EDGE(0, 1); EDGE(1, 2); global = 0; ext[0]++
    fi;
    run Mutator(0, OPS0); run Mutator(1, OPS1); run Collector()
  }
}
