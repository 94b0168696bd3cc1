/* published.pml: load, exchange, compare-exchange and peek on a cell, against death.
 *
 * One cell, two objects, the first thread holds a `Ref` to each; they are biased to it and new, or
 * one is in the cell and the other unbiased. Both threads load, exchange and compare-exchange the
 * cell, drop what they hold, and look at what it shows within a ReadScope, where they may try to
 * make a `Ref` of it. A load is {bracket: read the cell; the owner: local + 1; others: an exchange,
 * not DEAD, shared + 1}, tried again where that fails. A PUBLISHED object that dies is retired, and
 * destroyed and freed when all brackets and scopes that were open then have ended (grace.pml); any
 * other one at once.
 *
 * Checked:
 *   P1  no header is touched after its block was freed;
 *   P2  each object dies once, without references; nothing counts it up afterwards;
 *   P3  what a scope shows is not destroyed before it ends;
 *   P4  at rest each object's count is exact, and what nobody refers to is destroyed.
 *
 * Abstracted: one count per word (roots and edges: count.pml); revocation in one step that waits
 * for the owner's operation; sequentially consistent threads (the cell and the shared words are
 * changed by read-modify-writes; the brackets' buffers: rendezvous.pml, grace.pml); the barrier.
 *
 * OPS0, OPS1: operations of the two threads.
 *
 * Mutations, each takes out one step:
 *   NO_GRACE        a retired object is destroyed at once
 *   SCOPE_UNSEEN    a grace period waits for brackets only
 *   LOAD_OUTSIDE    a load is no bracket
 *   NO_DEAD_TEST    a load's exchange does not test DEAD
 *   LOAD_TORN       a load tests DEAD, then adds (two steps)
 *   PUBLISH_LATE    an object gets PUBLISHED after it has been stored
 *   OWNER_STAYS     LocalZero leaves the owner in the header
 *   COUNT_LATE      a compare-exchange counts its new target after the exchange
 *   NO_UNDO         a compare-exchange that failed leaves its count
 * Not a mutation but a variant that passes: OWNER_LATE (LocalZero merges, then gives up the
 * ownership: only the owner itself could count in between; but see WRITE_AFTER of count.pml).
 */
#ifndef OPS0
#define OPS0 2
#endif
#ifndef OPS1
#define OPS1 2
#endif

#define NIL 2
#define NOBODY 9

/* Headers; index NIL is a dustbin. */
byte owner[3], biased[3];            /* `local` */
short shared[3];
bool merged[3], queued[3], dead[3], published[3], retired[3], freed[3];

byte cell = NIL;
bool in_bracket[2], in_scope[2];
bool turn[2], scope_turn[2];         /* change at every end */

/* Ghosts. */
byte refs[6];                        /* Refs: thread t has refs[3t + x] to x; in flight included */
bool pending[3];
byte peeked[2];                      /* what a scope shows */
byte done;

#define TOUCH(x) assert(!freed[x])                                            /* P1 */
#define REFS(x) (refs[x] + refs[3 + x] + (cell == x) + pending[x])
#define INITIAL(x) (shared[x] == 0 && !merged[x] && !queued[x] && !dead[x] && !published[x])
#define BEGIN in_bracket[m] = true
#define END atomic { in_bracket[m] = false; turn[m] = !turn[m] }

/* Part of the step that brings the sum to zero. */
inline die(x) {
  assert(!dead[x] && REFS(x) == 0);                      /* P2 */
  dead[x] = true;
#ifdef NO_GRACE
  assert(peeked[0] != x && peeked[1] != x);                                   /* P3 */
  freed[x] = true
#else
  if
  :: published[x] -> retired[x] = true
  :: else -> assert(peeked[0] != x && peeked[1] != x); freed[x] = true
  fi
#endif
}

inline decrement(x) {                /* in a bracket; the ghost has gone */
  atomic { TOUCH(x); mine = (owner[x] == m && biased[x] > 0) };
  if
  :: mine ->
     atomic { biased[x]--; zero = (biased[x] == 0) };
     if
     :: zero ->
        if
        :: atomic { INITIAL(x) -> owner[x] = NOBODY; die(x) }
        :: else ->
#if !defined(OWNER_LATE) && !defined(OWNER_STAYS)
           atomic { TOUCH(x); owner[x] = NOBODY };
#endif
           atomic {
             TOUCH(x); merged[x] = true;
             if
             :: shared[x] == 0 -> die(x)
             :: else
             fi
           };
#ifdef OWNER_LATE
           owner[x] = NOBODY
#else
           skip
#endif
        fi
     :: else
     fi
  :: else ->
     atomic {
       TOUCH(x); assert(!dead[x]);
       if
       :: !merged[x] && !queued[x] && shared[x] == 0 -> queued[x] = true; pending[x] = true
       :: else ->
          shared[x]--;
          if
          :: merged[x] && shared[x] == 0 -> die(x)
          :: else
          fi
       fi
     }
  fi;
  atomic { mine = false; zero = false }
}

inline increment(x) {                /* by a holder of a reference; the ghost is the caller's */
  atomic { TOUCH(x); mine = (owner[x] == m) };
  if
  :: mine -> atomic { assert(!dead[x]); biased[x]++ }
  :: else -> atomic { TOUCH(x); assert(!dead[x]); shared[x]++ }
  fi;
  mine = false
}

inline try_increment(x) {            /* in a bracket or scope that showed x; sets `got` */
  atomic { TOUCH(x); mine = (owner[x] == m) };
  if
  :: mine -> atomic { assert(!dead[x]); biased[x]++; refs[3 * m + x]++; got = true }    /* P2 */
  :: else ->
#ifdef LOAD_TORN
     atomic { TOUCH(x); got = !dead[x] };
     if
     :: got -> atomic { assert(!dead[x]); shared[x]++; refs[3 * m + x]++ }
     :: else
     fi
#else
     atomic {
       TOUCH(x);
       if
#ifdef NO_DEAD_TEST
       :: true ->
#else
       :: !dead[x] ->
#endif
          assert(!dead[x]); shared[x]++; refs[3 * m + x]++; got = true        /* P2 */
       :: else
       fi
     }
#endif
  fi;
  mine = false
}

inline load() {
  do
  :: true ->
#ifndef LOAD_OUTSIDE
     BEGIN;
#endif
     x = cell;
     if
     :: x != NIL -> try_increment(x)
     :: else -> got = true
     fi;
#ifndef LOAD_OUTSIDE
     END;
#endif
     if
     :: got -> break
     :: else                         /* dead: it has left the cell */
     fi
  od;
  atomic { x = NIL; got = false }
}

inline publish(x) {
  if
  :: x != NIL -> atomic { TOUCH(x); published[x] = true }
  :: else
  fi
}

inline exchange(new) {               /* takes over a Ref, returns one */
#ifndef PUBLISH_LATE
  publish(new);
#endif
  BEGIN;
  atomic {
    x = cell; cell = new;
    if
    :: new != NIL -> refs[3 * m + new]--
    :: else
    fi;
    if
    :: x != NIL -> refs[3 * m + x]++
    :: else
    fi;
    x = NIL
  };
  END;
#ifdef PUBLISH_LATE
  publish(new)
#endif
}

inline compare_exchange(expected, new) {      /* of an edge: the Ref is moved in */
  publish(new);
  BEGIN;
#ifndef COUNT_LATE
  increment(new);
#endif
  atomic {
    got = (cell == expected);
    if
    :: got -> cell = new; x = expected
    :: else
    fi
  };
#ifdef COUNT_LATE
  increment(new);
#endif
  if
  :: got -> refs[3 * m + new]--; decrement(new)
  :: else ->
#ifdef NO_UNDO
     skip
#else
     decrement(new)
#endif
  fi;
  if
  :: got && x != NIL -> decrement(x)
  :: else
  fi;
  END;
  atomic { got = false; x = NIL }
}

inline drop(x) {
  BEGIN;
  refs[3 * m + x]--;
  decrement(x);
  END
}

inline peek() {
  in_scope[m] = true;
  atomic { x = cell; peeked[m] = x };
  if
  :: x != NIL ->
     if
     :: BEGIN; try_increment(x); END; got = false      /* TryRef */
     :: atomic { TOUCH(x) }
     fi
  :: else
  fi;
  atomic { x = NIL; peeked[m] = NIL };
  atomic { in_scope[m] = false; scope_turn[m] = !scope_turn[m] }
}

#define HAS(y) (refs[3 * m + y] > 0)

proctype Mutator(byte m; byte ops) {
  byte k, x = NIL;
  bool mine, zero, got;
  do
  :: k < ops ->
     k++;
     if
     :: load()
     :: peek()
     :: exchange(NIL)
     :: HAS(0) -> exchange(0)
     :: HAS(1) -> exchange(1)
     :: HAS(0) -> compare_exchange(NIL, 0)
     :: HAS(0) -> compare_exchange(1, 0)
     :: HAS(1) -> compare_exchange(0, 1)
     :: HAS(0) -> drop(0)
     :: HAS(1) -> drop(1)
     fi
  :: k == ops -> break
  od;
  do
  :: HAS(0) -> drop(0)
  :: HAS(1) -> drop(1)
  :: !HAS(0) && !HAS(1) -> break
  od;
  done++
}

/* Revokes, and runs grace periods. */
proctype Collector() {
  byte x;
  bool open[2], open_scope[2], seen[2], seen_scope[2];
end:
  do
  :: atomic {
       (pending[0] || pending[1]) && !in_bracket[0] ->
       if
       :: pending[0] -> x = 0
       :: pending[1] -> x = 1
       fi;
       TOUCH(x);
       pending[x] = false; queued[x] = false;
       if
       :: !merged[x] -> shared[x] = shared[x] + biased[x] - 1; owner[x] = NOBODY
       :: else -> shared[x]--
       fi;
       merged[x] = true;
       if
       :: shared[x] == 0 -> die(x)
       :: else
       fi;
       x = 0
     }
  :: atomic {
       (retired[0] && !freed[0]) || (retired[1] && !freed[1]) ->
       if
       :: retired[0] && !freed[0] -> x = 0
       :: retired[1] && !freed[1] -> x = 1
       fi;
       open[0] = in_bracket[0]; open[1] = in_bracket[1];
       seen[0] = turn[0]; seen[1] = turn[1];
#ifndef SCOPE_UNSEEN
       open_scope[0] = in_scope[0]; open_scope[1] = in_scope[1];
       seen_scope[0] = scope_turn[0]; seen_scope[1] = scope_turn[1]
#endif
     };
     !open[0] || !in_bracket[0] || turn[0] != seen[0];
     !open[1] || !in_bracket[1] || turn[1] != seen[1];
     !open_scope[0] || !in_scope[0] || scope_turn[0] != seen_scope[0];
     !open_scope[1] || !in_scope[1] || scope_turn[1] != seen_scope[1];
     atomic {
       assert(peeked[0] != x && peeked[1] != x);                              /* P3 */
       assert(REFS(x) == 0);
       freed[x] = true;
       x = 0; open[0] = false; open[1] = false; open_scope[0] = false; open_scope[1] = false;
       seen[0] = false; seen[1] = false; seen_scope[0] = false; seen_scope[1] = false
     }
  :: atomic {                                                                 /* P4 */
       timeout -> assert(done == 2);
       x = 0;
       do
       :: x < 2 ->
          assert((REFS(x) == 0) == freed[x]);
          assert(freed[x] || REFS(x) == shared[x] + (merged[x] -> 0 : biased[x]));
          x++
       :: else -> break
       od;
       break
     }
  od
}

init {
  atomic {
    biased[0] = 1; biased[1] = 1; refs[0] = 1; refs[1] = 1;
    if
    :: true
    :: cell = 0; shared[0] = 1; published[0] = true;
       owner[1] = NOBODY; merged[1] = true; biased[1] = 0; shared[1] = 1
    fi;
    owner[2] = NOBODY; peeked[0] = NIL; peeked[1] = NIL;
    run Mutator(0, OPS0); run Mutator(1, OPS1); run Collector()
  }
}
