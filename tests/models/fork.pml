/* fork.pml: the fork gate, with store buffers: no fork cuts off guarded work, and none waits for
 * user code that waits for it.
 *
 * Workers do what fork must not cut off, one after the other (the collector thread; and threads
 * that serve themselves while the process ends): each takes the work, steps in behind the gate,
 * works, opens a window for user code, steps in again, works, steps out, and gives the work up.
 * The user code of a window may wait until there has been a fork. The forker shuts the gate, waits
 * while the place says WORKING, waits a while for a window, forks, and opens the gate; several
 * times. Plain stores go through FIFO buffers (TSO); sequentially consistent ones empty them.
 *
 * Checked:
 *   F1  at a fork no worker is in guarded work outside a window;
 *   F2  nobody waits for ever.
 *
 * Abstracted: what the work is; the mutexes that fork takes besides; one fork at a time (a mutex
 * sees to it); patience is a wait that ends when it likes.
 *
 * Mutations, each takes out one step:
 *   PLAIN_PLACE   a worker steps in by a plain store
 *   PLAIN_SHUT    the gate is shut by a plain store
 *   LOOK_FIRST    the forker looks at the place, then shuts the gate
 *   GATE_FIRST    a worker looks at the gate, then stores its place
 *   NO_HOLD       a worker that finds the gate shut goes on
 *   NO_REREAD     held up once, it does not look at the gate again
 *   NO_WAKE       stepping out wakes nobody
 *   NO_OPEN_WAKE  opening the gate wakes nobody
 *   WAIT_BLIND    the futexes compare nothing
 *   NO_WINDOW     user code runs in guarded work
 *   NO_PATIENCE   the forker waits for the end of a window
 *   GIVE_UP_FIRST the work is given up, then its place left
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef FORKS
#define FORKS 2
#endif

#define RESTING 0
#define WORKING 1
#define IN_WINDOW 2
#define HELD 3

byte place = RESTING;
bool shut;
bool taken;                          /* the work, behind the collector's mutex */
byte forks;                          /* how many there have been */
bool place_wait, place_woken;        /* the forker, on the place */
byte gate_wait;                      /* workers, on the gate */
byte gate_woken;

chan places = [3] of { byte };       /* the store buffers: of the worker that has the work, */
chan shuts = [2] of { bit };         /* and of the forker */

byte torn;                           /* ghost: workers in guarded work, in no window */

inline drain_places() {
  do
  :: nempty(places) -> places ? place
  :: empty(places) -> break
  od
}
inline drain_shuts() {
  do
  :: nempty(shuts) -> shuts ? shut
  :: empty(shuts) -> break
  od
}

proctype Drain() {
end:
  do
  :: atomic { nempty(places) -> places ? place }
  :: atomic { nempty(shuts) -> shuts ? shut }
  od
}

/* ---- Workers ---- */
inline store_place(value) {
#ifdef PLAIN_PLACE
  places ! value
#else
  atomic { drain_places(); place = value }
#endif
}

inline step_out(value) {
  atomic { drain_places(); place = value };
#ifndef NO_WAKE
  if
  :: shut -> atomic {                /* FutexWakeAll(place) */
       if
       :: place_wait -> place_woken = true
       :: else
       fi
     }
  :: else
  fi
#endif
}

inline wait_at_gate() {
  atomic {                           /* FutexWait(shut, 1): a system call drains the buffer */
    drain_places();
    if
#ifdef WAIT_BLIND
    :: true -> gate_wait++; waiting = true
#else
    :: shut -> gate_wait++; waiting = true
    :: else
#endif
    fi
  };
  if
  :: waiting -> atomic { gate_woken > 0 -> gate_woken--; gate_wait--; waiting = false }
  :: else
  fi
}

inline step_in() {
  do
  :: true ->
#ifdef GATE_FIRST
     seen = shut;
     store_place(WORKING);
#else
     store_place(WORKING);
     seen = shut;
#endif
#ifdef NO_HOLD
     break;
#endif
     if
     :: !seen -> break
     :: else
     fi;
     step_out(HELD);
     do
     :: shut -> wait_at_gate()
     :: else -> break
     od;
#ifdef NO_REREAD
     store_place(WORKING);
     break
#endif
  od;
  seen = false
}

inline user_code() {
  if
  :: true                            /* returns */
  :: mine = forks; forks > mine || forks == FORKS
  fi
}

proctype Worker() {
  byte round, mine;
  bool seen, waiting;
  do
  :: round < ROUNDS ->
     round++;
     atomic { !taken -> taken = true };
     step_in();
     torn++;
#ifdef NO_WINDOW
     user_code();
#else
     torn--;
     step_out(IN_WINDOW);
     user_code();
     step_in();
     torn++;
#endif
     torn--;
#ifdef GIVE_UP_FIRST
     taken = false;
     step_out(RESTING)
#else
     step_out(RESTING);
     taken = false
#endif
  :: else -> break
  od
}

/* ---- The forking thread ---- */
inline wait_for(value, may_end) {
  atomic {                           /* FutexWait(place, value) */
    drain_shuts();
    if
#ifdef WAIT_BLIND
    :: true -> place_wait = true
#else
    :: place == value -> place_wait = true
    :: else
#endif
    fi
  };
  if
  :: place_wait ->
     if
     :: place_woken
     :: may_end                      /* out of patience */
     fi;
     atomic { place_wait = false; place_woken = false }
  :: else
  fi
}

proctype Forker() {
  byte seen;
  bool patient;
  do
  :: forks < FORKS ->
#ifdef LOOK_FIRST
     seen = place;
#endif
#ifdef PLAIN_SHUT
     shuts ! 1;
#else
     atomic { drain_shuts(); shut = true };
#endif
     patient = true;
     do
     :: true ->
#ifndef LOOK_FIRST
        seen = place;
#endif
        if
        :: seen == WORKING -> wait_for(WORKING, false)
#ifdef NO_PATIENCE
        :: seen == IN_WINDOW -> wait_for(IN_WINDOW, false)
        :: else -> break
#else
        :: seen == IN_WINDOW && patient ->
           wait_for(IN_WINDOW, true);
           if
           :: patient = false
           :: true
           fi
        :: else -> break
#endif
        fi;
#ifdef LOOK_FIRST
        seen = place
#endif
     od;
     atomic { assert(torn == 0); forks++ };                                   /* F1 */
     atomic { drain_shuts(); shut = false };
#ifndef NO_OPEN_WAKE
     atomic { gate_woken = gate_wait };
#endif
     patient = false
  :: else -> break
  od
}

/* F2: whatever can still happen has happened, and somebody has not come to his end. */
proctype Watch() {
end:
  timeout -> assert(forks == FORKS && !taken && !place_wait && gate_wait == 0 && _nr_pr == 3)
}

init {
  atomic {
    run Drain();
    run Watch();
    byte k;
    for (k : 1 .. WORKERS) { run Worker() }
    run Forker()
  }
}
