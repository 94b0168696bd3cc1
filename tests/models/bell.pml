/* bell.pml: the bell, with store buffers: no work is left while the collector sleeps.
 *
 * Small publishes pending entries or retired objects and rings; Urgent makes a request and rings
 * urgently; Active changes figures of memory and notes activity. The collector serves requests,
 * settles small work (once a millisecond, so it may have to nap), ticks, and rests: {store the
 * state; look for work; wait on the futex, if the state is still that}. A nap and the rest that
 * follows an active tick end by themselves; a quiet rest never does here. Plain stores go through
 * FIFO buffers (TSO); read-modify-writes empty the thread's own.
 *
 * Checked:
 *   B1  the collector does not sleep for ever on a request, small work, or figures unseen;
 *   B2  when a rest ends by itself, no ring that has been completed is unheeded: an urgent one in a
 *       nap, any in a sleep; unless another ringer has changed the state and is about to wake it.
 *
 * Abstracted: one ringer of each kind; what the work is; the mutex around requests; a tick is
 * longer than a store stays in a buffer.
 *
 * Mutations, each takes out one step:
 *   PLAIN_PUBLISH   small work is published by a plain store
 *   PLAIN_STATE     the collector announces its rest by a plain store
 *   RING_FIRST      the ringer looks at the state, then publishes
 *   NO_LOOK         the collector does not look for work once it has announced its rest
 *   LOOK_FIRST      it looks, then announces
 *   WAIT_BLIND      the futex does not compare the state
 *   NO_WAKE         the ringer changes the state and wakes nobody
 *   URGENT_SOFT     a request rings as small work does
 *   URGENT_LATE     a request is made after its ring
 *   QUIET_BLIND     a quiet rest does not look for activity
 *   NO_SECOND_TICK  the tick that takes note of activity is the last before a quiet rest
 * Not a mutation but a variant that passes: AWAKE_PLAIN (the state is AWAKE again by a plain
 * store).
 */
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef FIGURES
#define FIGURES 2
#endif

#define AWAKE 0
#define NAPPING 1
#define ASLEEP 2

#define SMALL 0
#define URGENT 1
#define ACTIVE 2

byte state = AWAKE;
byte work, requests, figure;         /* published, not yet seen to */
bool activity;
bool waiting, woken;                 /* the futex */

chan states = [3] of { byte };       /* the store buffers: the collector's, Small's, Active's */
chan works = [3] of { byte };
chan figures = [3] of { byte };

/* Ghosts. */
byte small_rung, urgent_rung;        /* published, and the ring is over */
byte old_figures;                    /* in the buffer since before the last tick */

inline drain_states() {
  do
  :: nempty(states) -> states ? state
  :: empty(states) -> break
  od
}
inline drain_works() {
  do
  :: nempty(works) -> works ? _; work++
  :: empty(works) -> break
  od
}
inline drain_figure() {
  figures ? _; figure++;
  if
  :: old_figures > 0 -> old_figures--
  :: else
  fi
}
inline drain_figures() {
  do
  :: nempty(figures) -> drain_figure()
  :: empty(figures) -> break
  od
}

proctype Drain() {
end:
  do
  :: atomic { nempty(states) -> states ? state }
  :: atomic { nempty(works) -> works ? _; work++ }
  :: atomic { nempty(figures) -> drain_figure() }
  od
}

inline wake() {
#ifndef NO_WAKE
  atomic {
    if
    :: waiting -> woken = true
    :: else
    fi
  }
#else
  skip
#endif
}

inline ring(from) {
#ifndef RING_FIRST
  seen = state;
#endif
  if
  :: seen == ASLEEP ->
     atomic {
       if
       :: from == SMALL -> drain_works()
       :: from == ACTIVE -> drain_figures()
       :: else
       fi;
       if
       :: state == ASLEEP -> state = AWAKE; won = true
       :: else
       fi
     };
     if
     :: won -> wake()
     :: else
     fi
  :: else
  fi;
  atomic { seen = AWAKE; won = false }
}

proctype Small() {
  byte k, seen;
  bool won;
  do
  :: k < ENTRIES ->
     k++;
#ifdef RING_FIRST
     seen = state;
#endif
#ifdef PLAIN_PUBLISH
     works ! 1;
#else
     atomic { drain_works(); work++ };
#endif
     ring(SMALL);
     small_rung = k
  :: else -> break
  od
}

inline ring_urgently() {
#ifdef URGENT_SOFT
  seen = state;
  ring(URGENT)
#else
  atomic { won = (state != AWAKE); state = AWAKE };
  if
  :: won -> wake(); won = false
  :: else
  fi
#endif
}

proctype Urgent() {
  byte k, seen;
  bool won;
  do
  :: k < REQUESTS ->
     k++;
#ifdef URGENT_LATE
     ring_urgently();
     requests++;
#else
     requests++;                     /* behind a mutex */
     ring_urgently();
#endif
     urgent_rung = k;
     requests == 0                   /* it waits for its request */
  :: else -> break
  od
}

proctype Active() {
  byte k, seen;
  bool won;
  do
  :: k < FIGURES ->
     k++;
     figures ! 1;
     if
     :: activity
     :: else ->
        atomic { drain_figures(); won = !activity; activity = true };
        if
        :: won -> won = false; seen = state; ring(ACTIVE)
        :: else
        fi
     fi
  :: else -> break
  od
}

/* ---- The collector ---- */
#define UNHEEDED_REQUEST (requests > 0 && urgent_rung >= asked + requests)
#define UNHEEDED_WORK (work > 0 && small_rung >= taken + work)

inline rest(how, has_work, may_end) {
#ifdef LOOK_FIRST
  found = has_work;
#endif
#ifdef PLAIN_STATE
  states ! how;
#else
  atomic { drain_states(); state = how };
#endif
#if !defined(LOOK_FIRST) && !defined(NO_LOOK)
  found = has_work;
#endif
  if
  :: !found ->
     atomic {                        /* a system call: the buffer is drained on the way */
       drain_states();
       if
#ifdef WAIT_BLIND
       :: waiting = true
#else
       :: state == how -> waiting = true
       :: else
#endif
       fi
     };
     if
     :: waiting ->
        if
        :: woken
        :: atomic {
             may_end && (how == NAPPING || old_figures == 0) && empty(works) && !woken ->
             assert(state != how || !UNHEEDED_REQUEST);                       /* B2 */
             assert(state != how || how == NAPPING || !UNHEEDED_WORK)         /* B2 */
           }
        :: atomic {                                                           /* B1 */
             timeout -> assert(work == 0 && requests == 0 && figure == 0 && !activity); goto over
           }
        fi;
        atomic { waiting = false; woken = false }
     :: else
     fi
  :: else
  fi;
#ifdef AWAKE_PLAIN
  states ! AWAKE;
#else
  atomic { drain_states(); state = AWAKE };
#endif
  found = false
}

#ifdef QUIET_BLIND
#define QUIET_WORK (requests > 0 || work > 0)
#else
#define QUIET_WORK (requests > 0 || work > 0 || activity)
#endif

proctype Collector() {
  bool quiet, found, noted;
  byte taken, asked;
  do
  :: true ->
     atomic { asked = asked + requests; requests = 0 };
     if
     :: atomic { taken = taken + work; work = 0 }
     :: true                         /* not yet a millisecond since */
     fi;
     if
     :: atomic { old_figures == 0 -> drain_states(); noted = activity; activity = false };
        atomic { figure = 0; old_figures = len(figures) };   /* those are not seen yet */
#ifdef NO_SECOND_TICK
        quiet = true;
#else
        quiet = !noted;
#endif
        noted = false
     :: true                         /* not yet a tick since */
     fi;
     if
     :: requests > 0
     :: else ->
        if
        :: work > 0 -> rest(NAPPING, (requests > 0), true)
        :: else ->
           if
           :: quiet -> rest(ASLEEP, QUIET_WORK, false)
           :: else -> rest(ASLEEP, (requests > 0 || work > 0), true)
           fi;
           if
           :: activity -> quiet = false
           :: else
           fi
        fi
     fi
  od;
over:
  skip
}

init {
  atomic { run Drain(); run Small(); run Urgent(); run Active(); run Collector() }
}
