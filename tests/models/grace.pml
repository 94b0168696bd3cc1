/* grace.pml: grace periods, retired objects and what is in hand, with the readers' store buffers.
 *
 * A cell shows one object after the other. Writer takes the shown one out, puts the next one in,
 * and retires the old one. Two readers look at what the cell shows inside a ReadScope (the first)
 * or a bracket (the second): {sequence odd; read the cell; use; sequence even}. Writer and
 * Collector reclaim: {take the lists; take a ticket; advance the grace period; passed: destroy}.
 * Observer asks whether all that was retired is done: {bytes retired, bytes waiting, what is in
 * hand}. The sequences go through FIFO store buffers (TSO), which only the membarrier of a period's
 * start, and time, empty; everything else is a read-modify-write or behind one.
 *
 * Checked:
 *   G1  nothing is destroyed while a reader, whose scope or bracket showed it, may use it;
 *   G2  every retired object is destroyed once, and none is stranded;
 *   G3  who finds no bytes retired or waiting, and then nothing in hand, finds all that was retired
 *       before destroyed;
 *   G4  one thread at a time runs the grace period, and nobody waits for it.
 *
 * Abstracted: one retired list (the loop over slots adds nothing: each is taken by its own
 * exchange); attaching and orphaned slots (rendezvous.pml); destructors that retire more.
 *
 * OBSERVER: Observer runs in place of the readers. QUARANTINE: another user of grace periods runs
 * in place of the second reader. OBJECTS - 1 objects are retired.
 *
 * Mutations, each takes out one step:
 *   NO_MEMBARRIER    a period's start does not drain the readers' buffers
 *   NOTE_FIRST       the sequences are noted before the membarrier
 *   STARTED_LATE     `started` is raised after the sequences were noted
 *   TICKET_RUNNING   a ticket names the period that runs already
 *   TICKET_EARLY     the ticket is taken before the lists are gathered
 *   SCOPE_UNSEEN     only brackets are noted
 *   READ_FIRST       a reader reads the cell, then makes its sequence odd
 *   GRACE_UNGUARDED  two threads may advance at a time
 *   GATHER_ANEW      a batch that waits is joined by what was retired since
 *   RECLAIM_TORN     the list is read, then emptied (two steps)
 *   HAND_LATE        what is in hand is counted after the list has been emptied
 *   HAND_EARLY       it is counted down before the destructors have run
 *   DOWN_FIRST       retired bytes go down before waiting bytes go up
 */
#ifndef OBJECTS
#define OBJECTS 3                    /* the last one stays */
#endif
#ifndef READS
#define READS 2
#endif

#define BIT(x) (1 << (x))
#define ALL_BUT_LAST (BIT(OBJECTS) - 2)

byte cell = 1;
byte sequence[2];                    /* as memory shows them */
chan buffer[2] = [2] of { byte };

byte retired, retired_bytes;         /* the list: a set; one byte each */
byte waiting, waiting_bytes, ticket;
bool reclaiming;
byte in_hand;
bool rung = true;                    /* a collector that sleeps is to wake */

byte started, completed, wanted;
bool advancing;
bool open[2];
byte seen[2];

/* Ghosts. */
byte using[2];
byte handed_in, taken, destroyed;    /* sets */
byte advancing_now;

inline drain(r) {
  do
  :: nempty(buffer[r]) -> buffer[r] ? sequence[r]
  :: empty(buffer[r]) -> break
  od
}

proctype Drain() {
end:
  do
  :: buffer[0] ? sequence[0]
  :: buffer[1] ? sequence[1]
  od
}

proctype Reader(byte r) {
  byte k, mine;
  do
  :: k < READS ->
     k++; mine++;
#ifdef READ_FIRST
     using[r] = cell;
     buffer[r] ! mine;
#else
     buffer[r] ! mine;
     using[r] = cell;
#endif
     using[r] = 0;                   /* the last use */
     mine++;
     buffer[r] ! mine
  :: break
  od
}

/* ---- The grace period ---- */
inline note(r) {
#ifdef SCOPE_UNSEEN
  if
  :: r == 1 && (sequence[r] & 1) -> seen[r] = sequence[r]; open[r] = true
  :: else
  fi
#else
  if
  :: sequence[r] & 1 -> seen[r] = sequence[r]; open[r] = true
  :: else
  fi
#endif
}

inline membarrier() {
#ifndef NO_MEMBARRIER
  atomic { drain(0); drain(1) }
#else
  skip
#endif
}

inline notes() {
  atomic { open[0] = false; open[1] = false };
  atomic { note(0) };
  atomic { note(1) }
}

inline start() {
#if defined(NOTE_FIRST)
  started++; notes(); membarrier()
#elif defined(STARTED_LATE)
  membarrier(); notes(); started++
#else
  started++; membarrier(); notes()
#endif
}

inline remove_ended(r) {
  atomic {
    if
    :: open[r] && sequence[r] != seen[r] -> open[r] = false; seen[r] = 0
    :: else
    fi
  }
}

inline advance() {
#ifdef GRACE_UNGUARDED
  held = true;
#else
  atomic { held = !advancing; advancing = true };
#endif
  if
  :: held ->
     atomic { advancing_now++; assert(advancing_now == 1) };                  /* G4 */
     c = completed;                  /* relaxed loads, behind `advancing` */
     if
     :: started == c && c < wanted -> start()
     :: else
     fi;
     if
     :: started != c ->
        remove_ended(0);
        remove_ended(1);
        if
        :: !open[0] && !open[1] -> completed = c + 1
        :: else
        fi
     :: else
     fi;
     atomic { advancing_now--; advancing = false }
  :: else
  fi;
  atomic { held = false; c = 0 }
}

inline take_ticket() {
#ifdef TICKET_RUNNING
  ticket = started;
#else
  ticket = started + 1;
#endif
  atomic {
    if
    :: wanted < ticket -> wanted = ticket
    :: else
    fi
  }
}

/* ---- Retired objects ---- */
#define SIZE(set) ((((set) >> 1) & 1) + (((set) >> 2) & 1) + (((set) >> 3) & 1))

inline count_moved() {               /* the bytes of `batch` go from retired to waiting */
#ifdef DOWN_FIRST
  retired_bytes = retired_bytes - SIZE(batch);
  waiting_bytes = waiting_bytes + SIZE(batch)
#else
  waiting_bytes = waiting_bytes + SIZE(batch);
  retired_bytes = retired_bytes - SIZE(batch)
#endif
}

inline gather() {
  if
  :: retired != 0 ->
#ifdef TICKET_EARLY
     take_ticket();
#endif
#ifdef RECLAIM_TORN
     batch = retired;
     atomic { retired = 0; taken = taken | batch };
#else
     atomic { batch = retired; retired = 0; taken = taken | batch };
#endif
     atomic { assert(handed_in == (taken | retired)) };                       /* G2 */
     count_moved();
     atomic { waiting = waiting | batch; batch = 0 };
#ifndef TICKET_EARLY
     take_ticket()
#endif
  :: else
  fi
}

#ifdef GATHER_ANEW
#define MUST_GATHER true
#else
#define MUST_GATHER (waiting == 0)
#endif

inline destroy_due() {
  atomic {
    assert(!(due & BIT(using[0]) & ~1) && !(due & BIT(using[1]) & ~1));       /* G1 */
    assert(!(due & destroyed));                                               /* G2 */
    destroyed = destroyed | due; due = 0
  }
}

inline reclaim() {
#ifndef HAND_LATE
  in_hand++;
#endif
  atomic { mine = !reclaiming; reclaiming = true };
  if
  :: mine ->
     if
     :: MUST_GATHER ->
#ifdef GATHER_ANEW
        old_ticket = ticket; gather();
        if
        :: old_ticket > completed -> ticket = old_ticket
        :: else
        fi;
        old_ticket = 0
#else
        gather()
#endif
     :: else
     fi;
     if
     :: waiting != 0 ->
        advance();
        if
        :: completed < ticket -> advance()
        :: else
        fi;
        if
        :: completed >= ticket -> atomic { due = waiting; waiting = 0 }; waiting_bytes = 0
        :: else
        fi
     :: else
     fi;
     reclaiming = false;
#ifdef HAND_LATE
     in_hand++;
#endif
#ifdef HAND_EARLY
     in_hand--;
#endif
     destroy_due();
#ifdef HAND_LATE
     in_hand--;
#endif
  :: else
  fi;
#if !defined(HAND_LATE) && !defined(HAND_EARLY)
  in_hand--;
#endif
#ifdef HAND_EARLY
  if
  :: !mine -> in_hand--
  :: else
  fi;
#endif
  mine = false
}

#ifdef GATHER_ANEW
#define RECLAIMER_LOCALS byte c, batch, due, old_ticket; bool held, mine
#else
#define RECLAIMER_LOCALS byte c, batch, due; bool held, mine
#endif

proctype Writer() {
  byte old;
  RECLAIMER_LOCALS;
  do
  :: cell < OBJECTS ->
     atomic { old = cell; cell = old + 1 };       /* unlinked */
     retired_bytes++;
     atomic { retired = retired | BIT(old); handed_in = handed_in | BIT(old); old = 0 };
     rung = true;                    /* bell.pml */
     if
     :: reclaim()                    /* a MiB more than before */
     :: true
     fi
  :: else -> break
  od
}

proctype Collector() {
  RECLAIMER_LOCALS;
  bool none;
  do
  :: atomic { !none -> none = (retired_bytes == 0) };
     if
     :: none -> none = (waiting_bytes == 0)
     :: else
     fi;
     if
     :: !none -> reclaim()
     :: else
     fi
  :: atomic { none && rung -> rung = false; none = false }     /* or it sleeps */
  :: atomic {                                                                 /* G2 */
       none && timeout -> assert(destroyed == ALL_BUT_LAST && in_hand == 0); break
     }
  od
}

/* The collector's quarantine of slabs: another user of grace periods. */
proctype Quarantine() {
  byte c, mine;
  bool held;
  mine = started + 1;
  atomic {
    if
    :: wanted < mine -> wanted = mine
    :: else
    fi;
    mine = 0
  };
  advance();
  advance()
}

proctype Observer() {
  byte before;
  bool none;
  before = handed_in;
  none = (retired_bytes == 0);
  none = none && waiting_bytes == 0;
  if
  :: none ->
     if
     :: atomic { in_hand == 0 -> assert((destroyed & before) == before) }     /* G3 */
     :: else
     fi
  :: else
  fi
}

init {
  atomic {
    run Drain(); run Writer(); run Collector();
#if defined(OBSERVER)
    run Observer()
#elif defined(QUARANTINE)
    run Reader(0); run Quarantine()
#else
    run Reader(0); run Reader(1)
#endif
  }
}
