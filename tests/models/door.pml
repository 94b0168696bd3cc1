/* door.pml: Weak::Lock() against marking, the weak door, condemning and finalizers.
 *
 * Three objects with one edge each, two mutators with two `Ref`s each, one collector. Weak handles
 * to the objects of WEAK exist for ever, and any mutator may lock them, white ones included. A
 * Lock is one bracket: {read the cell; armed and white: enter the door, or find it closed and read
 * the colour again; one exchange: WEAK, not DEAD, ext + 1; log the revival}. The door is one word:
 * open or closed, and the number of revivals that the collector has not yet taken and marked. It
 * closes by an exchange from (open, 0) directly after a round of marking that brought nothing new.
 * Objects die by counts as well; types of FINALIZABLE are resurrected for their finalizer once, by
 * the drop that brings zero or by the collector before the door closes. A cycle may be aborted at
 * any round. A rendezvous waits until each mutator has been outside its brackets
 * (rendezvous.pml).
 *
 * Checked:
 *   D1  no object that can be reached is condemned, and no Lock returns a condemned one;
 *   D2  null is final: when Lock returns null nobody can reach the object, and no Lock returns it
 *       later;
 *   D3  all white objects die at one instant: the closing of the door; no Lock returns one later;
 *   D4  the count is never below zero, and is zero when nothing is logged and the barrier is off;
 *   D5  nobody touches an object that is free or condemned; none is destroyed with its cell set;
 *   D6  a finalizer runs at most once, on an object whose weak handles work.
 *
 * Abstracted: as mark.pml (one ext and one heap count, sequentially consistent threads, one trace
 * is one step); blocks are not reused (weak.pml); callbacks; hazards of the finalize phase;
 * finalizers that the collector queued stay queued, as roots; leaf objects, which are black always.
 *
 * GRAPH chooses one of three heaps, OPS0 and OPS1 the number of operations, CYCLES of cycles.
 *
 * Mutations, each takes out one step:
 *   NO_DOOR            Lock does not look at the door
 *   CLOSE_ANY          the door closes whatever its count
 *   LEAVE_EARLY        Lock leaves the door itself once it has logged
 *   COUNT_FIRST        the count goes down when an entry is taken; marking it brings nothing new
 *   NO_RESTART         after taking a revival: trace, then close, without another rendezvous
 *   NO_SELF_OFF        a Lock that entered and failed stays in the count
 *   UNLOGGED_BLACK     a revival is logged only if its object is still white
 *   NO_DEAD_TEST       the exchange does not test DEAD
 *   DEAD_LATE          mode IDLE and its rendezvous come before DEAD
 *   REOPEN_FIRST       the door reopens before DEAD is set
 *   RESET_EARLY        an aborted cycle resets the door before its rendezvous
 *   CLEAR_FIRST        the cells of white objects are cleared before the door closes
 *   LOCK_OUTSIDE       Lock is no bracket
 *   FINALIZE_LATE      finalizable objects are looked for after the door has closed
 *   FINALIZE_UNTRACED  what finalizable objects reach is not marked
 *   FINALIZE_NO_EXT    the collector finalizes without taking a reference
 *   FINALIZE_TWICE     FINALIZED is not tested
 * Not mutations but variants that pass: NO_REREAD (a closed door gives null at once: the last
 * round's rendezvous has waited for every bracket that read a colour which marking changed),
 * REOPEN_EARLY (the door reopens between DEAD and the rendezvous: the exchange fails on DEAD),
 * LOG_LATE (the revival is logged after its bracket: the count says that it will be),
 * RESTART_IF_WHITE (a taken revival restarts only if its object was still white).
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
#ifndef CYCLES
#define CYCLES 1
#endif
#ifndef FINALIZABLE
#define FINALIZABLE 0                /* a set: bit x for object x */
#endif

#define NIL 3

#define FREE 0 /* stages */
#define LIVE 1
#define DYING 2
#define DESTROYING 3
#define CONDEMNED 4

#define IDLE 0 /* modes */
#define LOGGING 1
#define MARKING 2

byte mode = IDLE;
bool in_bracket[2];
bool turn[2];                        /* changes at every end of a bracket: the sequence */

/* Index NIL is a dustbin, so that no access needs a test. */
byte edge[4], ext[4], heap[4], stage[4];
bool black[4], grey[4], dead[4], weak[4], cell[4], finalized[4];
bool log[8];                         /* mutator m's log has x: log[4m + x] */
byte revived[4];                     /* entries of revivals, in either log */

bool open = true;                    /* the door: one word */
byte count;

byte ref[4];                         /* Refs: mutator m has ref[2m] and ref[2m+1] */

/* Ghosts. */
byte old_target[2], new_target[2], victim[2], patient[2];   /* in flight in mutator m */
bool queued[4];                      /* the collector holds it for its finalizer */
bool was_null[4], doomed[4], finalizer_ran[4];
byte done;
hidden byte reach[4];
hidden byte ri, rj;

#define USABLE(x) assert(stage[x] != FREE && stage[x] != CONDEMNED)
#define HAS_FINALIZER(x) ((FINALIZABLE >> x) & 1)

inline find_reachable() {
  d_step {
    ri = 0;
    do
    :: ri < 3 -> reach[ri] = (stage[ri] == DYING || stage[ri] == DESTROYING || queued[ri]); ri++
    :: else -> break
    od;
    ri = 0;
    do
    :: ri < 2 ->
       reach[ref[2 * ri]] = true; reach[ref[2 * ri + 1]] = true;
       reach[old_target[ri]] = true; reach[new_target[ri]] = true;
       reach[victim[ri]] = true; reach[patient[ri]] = true;
       ri++
    :: else -> break
    od;
    rj = 0;
    do
    :: rj < 6 ->                     /* two sweeps over three objects reach the fixpoint */
       ri = rj % 3;
       if
       :: reach[ri] && stage[ri] != FREE && stage[ri] != CONDEMNED -> reach[edge[ri]] = true
       :: else
       fi;
       rj++
    :: else -> break
    od;
    reach[NIL] = false; ri = 0; rj = 0
  }
}

/* ---- Mutators ---- */
#define BEGIN atomic { in_bracket[m] = true; md = mode }
#define END atomic { in_bracket[m] = false; turn[m] = !turn[m]; md = IDLE }

inline log_if_white(x) {
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

/* The sum may be zero: the same exchange sets DEAD, or FINALIZED and one ext. */
inline decide_death(x) {
  if
  :: ext[x] + heap[x] == 0 ->
     if
     :: HAS_FINALIZER(x) && !finalized[x] ->
        finalized[x] = true; ext[x] = 1;
        assert(patient[m] == NIL || victim[m] == NIL);
        next_patient = x
     :: else -> assert(!dead[x]); dead[x] = true; stage[x] = DYING; dying = x
     fi
  :: else
  fi
}

inline drop_heap(x) {                /* also ends the ghost */
  atomic {
    if
    :: x != NIL -> USABLE(x); heap[x]--; decide_death(x)
    :: else
    fi;
    old_target[m] = NIL
  }
}

inline is_null(x) {                  /* Lock is about to return null */
  was_null[x] = true;
  if
  :: stage[x] == LIVE && !dead[x] -> find_reachable(); assert(!reach[x])      /* D2 */
  :: else
  fi
}

inline lock(x, a) {
#ifdef LOCK_OUTSIDE
  md = mode;
#else
  BEGIN;
#endif
  atomic {
    if
    :: !cell[x] -> is_null(x); failed = true
    :: else
    fi
  };
  if
  :: !failed -> white = (md != IDLE && !black[x])
  :: else
  fi;
#ifndef NO_DOOR
  if
  :: white ->
     atomic {
       if
       :: open -> count++; entered = true
       :: else
       fi
     };
     if
     :: !entered ->
        atomic {
#ifndef NO_REREAD
          if
          :: !black[x] -> is_null(x); failed = true
          :: else
          fi
#else
          is_null(x); failed = true
#endif
        }
     :: else
     fi
  :: else
  fi;
#endif
  if
  :: !failed ->
     atomic {
       if
#ifdef NO_DEAD_TEST
       :: weak[x] ->
#else
       :: weak[x] && !dead[x] ->
#endif
          assert(stage[x] == LIVE && !doomed[x] && !was_null[x]);             /* D1, D2, D3 */
          ext[x]++; ref[a] = x; locked = true
       :: else -> is_null(x)
       fi
     };
#ifdef LOG_LATE
     END;
#endif
     if
     :: entered && locked ->
#if defined(LEAVE_EARLY)
        log[4 * m + x] = true;
        atomic { count-- }
#elif defined(UNLOGGED_BLACK)
        atomic {
          if
          :: !black[x] -> revived[x]++
          :: else
          fi
        }
#else
        revived[x]++
#endif
#ifndef NO_SELF_OFF
     :: entered && !locked -> atomic { assert(count > 0); count-- }           /* D4 */
#endif
     :: else
     fi
  :: else
  fi;
#if defined(LOCK_OUTSIDE) || defined(LOG_LATE)
  atomic { in_bracket[m] = false; md = IDLE };
#else
  END;
#endif
  atomic { white = false; entered = false; locked = false; failed = false }
}

inline drop_ref(a) {
  BEGIN;
  atomic {
    o = ref[a]; ref[a] = NIL;
    if
    :: ext[o] == 1 -> log_if_white(o)
    :: else
    fi;
    USABLE(o); ext[o]--; decide_death(o); o = NIL
  };
  END
}

inline move_out(h, a) {              /* Ref a = std::move(h's edge) */
  BEGIN;
  atomic {
    USABLE(h); o = edge[h]; edge[h] = NIL; old_target[m] = o;
    log_if_white(o)
  };
  atomic {
    if
    :: o != NIL -> USABLE(o); ext[o]++; heap[o]--; ref[a] = o
    :: else
    fi;
    old_target[m] = NIL; o = NIL
  };
  END
}

inline store_move(h, a) {            /* h's edge = std::move(Ref a) */
  BEGIN;
  atomic {
    n = ref[a]; ref[a] = NIL; new_target[m] = n; USABLE(n);
    log_if_white(n);
    heap[n]++; ext[n]--
  };
  atomic {
    USABLE(h); o = edge[h]; edge[h] = n; old_target[m] = o; new_target[m] = NIL;
    log_if_white(o)
  };
  drop_heap(o);
  END;
  n = NIL; o = NIL
}

/* What a bracket left due: finalizers and destructors run outside brackets. */
inline settle() {
  do
  :: next_patient != NIL ->
     atomic {
       patient[m] = next_patient; next_patient = NIL;
       assert(!finalizer_ran[patient[m]] && !dead[patient[m]] && !was_null[patient[m]]);  /* D6 */
       assert(!weak[patient[m]] || cell[patient[m]]);
       finalizer_ran[patient[m]] = true
     };
     if                              /* keeps `self`, or lets it go */
     :: ref[2 * m] == NIL -> atomic { ref[2 * m] = patient[m]; patient[m] = NIL }
     :: BEGIN;
        atomic {
          o = patient[m];
          if
          :: ext[o] == 1 -> log_if_white(o)
          :: else
          fi;
          USABLE(o); ext[o]--; patient[m] = NIL; decide_death(o); o = NIL
        };
        END
     fi
  :: next_patient == NIL && dying != NIL ->
     atomic { victim[m] = dying; dying = NIL };
     cell[victim[m]] = false;
     atomic {
       assert(stage[victim[m]] == DYING && !cell[victim[m]] && !queued[victim[m]]);   /* D5 */
       stage[victim[m]] = DESTROYING
     };
     BEGIN;
     atomic { o = edge[victim[m]]; edge[victim[m]] = NIL; old_target[m] = o; log_if_white(o) };
     drop_heap(o);
     END;
     atomic { stage[victim[m]] = FREE; grey[victim[m]] = false; victim[m] = NIL; o = NIL }
  :: else -> break
  od
}

proctype Mutator(byte m; byte ops) {
  byte k, a, b, o = NIL, n = NIL, dying = NIL, next_patient = NIL, md;
  bool white, entered, locked, failed;
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
     :: ref[a] == NIL && weak[0] -> lock(0, a)
     :: ref[a] == NIL && weak[1] -> lock(1, a)
     :: ref[a] != NIL -> drop_ref(a)
     :: ref[a] != NIL && ref[b] != NIL && ref[a] != ref[b] -> store_move(ref[a], b)
     :: ref[a] != NIL && ref[b] == NIL -> move_out(ref[a], b)
     fi;
     settle()
  :: break
  od;
  done++
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
    :: stage[x] != FREE -> shade(edge[x])
    :: else
    fi
  }
}

inline trace_all() {
  do
  :: blacken(0)
  :: blacken(1)
  :: blacken(2)
  :: !grey[0] && !grey[1] && !grey[2] -> break
  od
}

inline take_revivals(x) {
  if
  :: revived[x] > 0 ->
     assert(count >= revived[x]);                                             /* D4 */
     count = count - revived[x]; revived[x] = 0;
#if defined(COUNT_FIRST)
     unmarked[x] = true
#elif defined(NO_RESTART)
     keep = news; shade(x); news = keep; keep = false
#elif defined(RESTART_IF_WHITE)
     shade(x)
#else
     shade(x); news = true
#endif
  :: else
  fi
}

inline take(x) {
  atomic {
    if
    :: log[x] || log[4 + x] -> log[x] = false; log[4 + x] = false; shade(x)
    :: else
    fi;
    take_revivals(x)
  }
}

/* FINALIZED and one ext by one exchange, which fails on DEAD. */
inline finalize(x) {
  atomic {
    if
#ifdef FINALIZE_TWICE
    :: stage[x] == LIVE && !black[x] && HAS_FINALIZER(x) && !dead[x] ->
#else
    :: stage[x] == LIVE && !black[x] && HAS_FINALIZER(x) && !dead[x] && !finalized[x] ->
#endif
       assert(!finalizer_ran[x] && !was_null[x]);                             /* D6 */
       finalized[x] = true; queued[x] = true; finalizer_ran[x] = true;
#ifndef FINALIZE_NO_EXT
       ext[x]++;
#endif
       shade(x);
#ifdef FINALIZE_UNTRACED
       grey[x] = false
#endif
    :: else
    fi
  }
}

inline doom() {                      /* the instant at which all white objects die */
  find_reachable();
  i = 0;
  do
  :: i < 3 ->
     if
     :: stage[i] == LIVE && !black[i] && !dead[i] ->
        assert(!reach[i] && ext[i] == 0); doomed[i] = true                    /* D1 */
     :: else
     fi;
     i++
  :: else -> i = 0; break
  od
}

inline condemn() {
  do
  :: i < 3 ->
     atomic {
       if
       :: stage[i] == LIVE && !black[i] && !dead[i] ->
          find_reachable(); assert(!reach[i] && ext[i] == 0);                 /* D1 */
          dead[i] = true; stage[i] = CONDEMNED
       :: else
       fi
     };
     if
     :: stage[i] == CONDEMNED -> cell[i] = false
     :: else
     fi;
     i++
  :: else -> i = 0; break
  od
}

inline quiet() { mode = IDLE; rendezvous() }

proctype Collector() {
  byte i, cycle;
  bool news, seen, finalize_done, aborted, keep;
#ifdef COUNT_FIRST
  bool unmarked[4];
#endif
  do
  :: cycle < CYCLES ->
     cycle++;
     atomic { black[0] = false; black[1] = false; black[2] = false; mode = LOGGING };
     rendezvous();                   /* T0 */
     mode = MARKING;
     rendezvous();                   /* T1 */
     do                              /* roots */
     :: i < 3 ->
        atomic {
          if
          :: stage[i] == DYING || (stage[i] == LIVE && ext[i] > 0) -> shade(i)
          :: stage[i] == DESTROYING -> black[i] = true; shade(edge[i])
          :: else
          fi;
          i++
        }
     :: else -> i = 0; break
     od;
     do                              /* rounds */
     :: true ->
        trace_all();
        news = false;
        rendezvous();
        take(0);
        take(1);
        take(2);
#if !defined(LOG_LATE) && !defined(LOCK_OUTSIDE)
        atomic {                     /* D4 */
          assert(in_bracket[0] || in_bracket[1] ||
                 count == revived[0] + revived[1] + revived[2])
        };
#endif
#ifdef NO_RESTART
        if
        :: !news -> trace_all(); news = false
        :: else
        fi;
#endif
#ifndef FINALIZE_LATE
        if
        :: FINALIZABLE && !news && !finalize_done ->
           finalize(0); finalize(1); finalize(2); finalize_done = true
        :: else
        fi;
#endif
#ifdef CLEAR_FIRST
        if
        :: !news && !black[0] && stage[0] == LIVE -> cell[0] = false
        :: else
        fi;
#endif
        atomic {
          if
#ifdef CLOSE_ANY
          :: !news -> open = false; doom(); break
#else
          :: !news && count == 0 -> open = false; doom(); break
          :: !news && count != 0
#endif
          :: news
          :: cycle < CYCLES -> aborted = true; break
          fi
        }
     od;
     atomic { news = false; finalize_done = false };
#ifdef FINALIZE_LATE
     finalize(0); finalize(1); finalize(2); trace_all();
#endif
     if
     :: aborted ->
#ifdef RESET_EARLY
        atomic { mode = IDLE; count = 0 };
        rendezvous();
#else
        quiet();
        count = 0;
#endif
        atomic {
          revived[0] = 0; revived[1] = 0; revived[2] = 0;
          grey[0] = false; grey[1] = false; grey[2] = false; aborted = false
        }
     :: else ->
#ifdef REOPEN_FIRST
        open = true;
#endif
#ifdef DEAD_LATE
        quiet(); condemn();
#else
        condemn();
#ifdef REOPEN_EARLY
        open = true;
#endif
        quiet();
#endif
        atomic {                     /* D4 */
          assert(revived[0] + revived[1] + revived[2] == 0);
#ifndef REOPEN_EARLY
          assert(count == 0);
#endif
          open = true
        }
     fi;
     atomic {
       log[0] = false; log[1] = false; log[2] = false;
       log[4] = false; log[5] = false; log[6] = false
     }
  :: else -> break
  od;
  done == 2;
  assert(open && count == 0)                                                  /* D4 */
}

#define ROOT(r, x) ref[r] = x; ext[x]++
#define EDGE(x, y) edge[x] = y; heap[y]++
#define WEAK(x) weak[x] = true; cell[x] = true

init {
  atomic {
    edge[0] = NIL; edge[1] = NIL; edge[2] = NIL; edge[3] = NIL;
    ref[0] = NIL; ref[1] = NIL; ref[2] = NIL; ref[3] = NIL;
    old_target[0] = NIL; new_target[0] = NIL; victim[0] = NIL; patient[0] = NIL;
    old_target[1] = NIL; new_target[1] = NIL; victim[1] = NIL; patient[1] = NIL;
    stage[0] = LIVE; stage[1] = LIVE; stage[2] = LIVE;
    if
    :: START(0) ->                   /* 0 <-> 1 is garbage, weak 0; the second holds 2 */
       ROOT(2, 2); EDGE(0, 1); EDGE(1, 0); WEAK(0)
    :: START(1) ->                   /* the same, weak 0 and 1; both hold 2 */
       ROOT(0, 2); ROOT(2, 2); EDGE(0, 1); EDGE(1, 0); WEAK(0); WEAK(1)
    :: START(2) ->                   /* 0 -> 1 with a Ref of the first, weak 0 */
       ROOT(0, 0); ROOT(2, 2); EDGE(0, 1); WEAK(0)
    fi;
    run Mutator(0, OPS0); run Mutator(1, OPS1); run Collector()
  }
}
