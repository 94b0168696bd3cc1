/* rendezvous.pml: brackets, modes, the birth word and the rendezvous, with store buffers.
 *
 * Mutator 0 has its slot from the start. Mutator 1 attaches in the middle (its slot is counted by
 * a read-modify-write, before its first bracket), leaves, and comes back (adopting the slot that it
 * left). What a mutator does in each of its brackets is chosen anew:
 *   bracket     {seq odd; read the mode}; IDLE: act; otherwise leave, enter again, read again, act
 *   bare        acts if it finds IDLE; otherwise leaves and goes on as `bracket`
 *   birth       {seq odd; read the birth word; write the header}, no look at the mode
 *   slow birth  as `bracket`, and reads the birth word in the bracket that acts
 * and seq even. All stores go through the thread's FIFO buffer, which drains at any moment; the
 * collector has a buffer too. It makes three rendezvous, for LOGGING, MARKING and IDLE again. The
 * birth word, one for all threads, turns black between the first two, before MARKING is stored. A
 * rendezvous: store the mode, fence, membarrier, then walk the slots: seq even, or wait until it
 * has changed.
 *
 * FENCED: there is no membarrier. IDLE_FENCED takes IDLE's place, so no bracket acts where it
 * entered first; entering again fences between seq and the load of the mode; nothing is born by
 * `birth`.
 *
 * Checked, once the rendezvous for mode m is complete:
 *   R1  no bracket that uses an older mode is open, and none begins later;
 *   R2  what brackets with an older mode wrote has left their buffers;
 *   R3  the same of births, for the birth word that came with m;
 * and always:
 *   R4  no bracket uses mode m, and no birth m's birth word, before the rendezvous for the mode
 *       before m is complete.
 *
 * Abstracted: what a bracket does is one store; a slot is found by its index; who may adopt is
 * settled (one thread); log space (a bracket leaves and enters again once, not until it suffices);
 * ARM's additional reorderings.
 *
 * WHO chooses the mutators (they touch nothing in common but the collector's words), LAST the mode
 * after whose rendezvous the collector stops.
 *
 * Mutations, each takes out one step:
 *   NO_MEMBARRIER     the collector walks without the barrier
 *   READ_SEQ_FIRST    the collector reads the sequences before the barrier
 *   PASS_ODD          the collector does not wait for an odd sequence
 *   MODE_FIRST        a bracket reads the mode before it makes seq odd
 *   NESTED            a bracket inside a bracket toggles seq
 *   COUNT_LATE        a new thread's slot is counted after its first bracket has read the mode
 *   BIRTH_OUTSIDE     a birth reads the birth word before it makes seq odd
 *   BIRTH_WITHOUT_SEQ a birth leaves seq as it is
 *   BIRTH_LATE        the collector stores the birth word after MARKING's rendezvous
 *   BIRTH_EARLY       the collector stores the birth word before LOGGING's rendezvous
 * and with FENCED:
 *   NO_BRACKET_FENCE  entering again does not fence
 *   IDLE_UNFENCED     IDLE_FENCED does not take IDLE's place: who finds IDLE first acts at once
 *   BARE_BIRTH        objects are born by `birth` all the same
 * Variants that pass, so nothing rests on these steps alone:
 *   WALK_FIRST      the collector reads which slots are counted before the barrier, but after its
 *                   own fence (a slot counted later reads the new mode, because both sides fence)
 *   COUNT_UNFENCED  a slot is counted by a plain store (the barrier, or the bracket's own fence,
 *                   comes between it and the look at the count); with WALK_FIRST and a
 *                   membarrier it fails
 *   BIRTH_AFTER     the birth word is stored after MARKING, before the barrier
 *   RESET_SEQ       an adopted slot begins with seq 0
 */
#ifndef WHO
#define WHO 2                        /* 0, 1: that mutator alone; 2: both */
#endif
#ifndef BRACKETS
#define BRACKETS 2
#endif
#ifndef LIVES
#define LIVES 2                      /* how often mutator 1 attaches */
#endif

#define IDLE 0
#define LOGGING 1
#define MARKING 2
#define DISARMED 3                   /* mode IDLE again: for mutators the same */

#ifndef LAST
#define LAST DISARMED
#endif

/* The birth word, as the last mode with which births may use it. */
#define WHITE LOGGING
#define BLACK DISARMED

/* The fast paths' test, which IDLE_FENCED never passes. */
#if defined(FENCED) && !defined(IDLE_UNFENCED)
#define IS_IDLE(m) false
#else
#define IS_IDLE(m) (m == IDLE || m == DISARMED)
#endif
#if defined(FENCED) && !defined(BARE_BIRTH)
#define MAY_BEAR false
#else
#define MAY_BEAR true
#endif

#define COLLECTOR 2
#define DEPTH 4

mtype = { SEQ, ACT, BIRTH_WORD, MODE, COUNT };           /* stores */
mtype = { BRACKET, BARE, BIRTH, SLOW_BIRTH };            /* operations */

/* Memory. */
byte mode = IDLE, birth = WHITE;
byte seq[2];
bool counted[2];

/* Buffers: kind, slot, value. */
chan buffer[3] = [DEPTH] of { mtype, byte, byte };

/* Ghosts. */
byte buffered[4];                    /* acts that are still buffered, by mode used */
byte complete = IDLE;                /* the mode whose rendezvous is complete */
bool open[2];                        /* in a bracket that acts, mode known */
byte used[2];

inline drain_one(t) {
  buffer[t] ? kind, slot, value;
  if
  :: kind == SEQ -> seq[slot] = value
  :: kind == BIRTH_WORD -> birth = value
  :: kind == MODE -> mode = value
  :: kind == COUNT -> counted[slot] = value
  :: kind == ACT -> buffered[value]--
  fi;
  kind = SEQ; slot = 0; value = 0
}

inline drain_all(t) {
  do
  :: nempty(buffer[t]) -> drain_one(t)
  :: empty(buffer[t]) -> break
  od
}

inline put(t, k, s, v) { atomic { nfull(buffer[t]) -> buffer[t] ! k, s, v } }

inline toggle() {                    /* seq odd, seq even */
  atomic { nfull(buffer[me]) -> my_seq++; buffer[me] ! SEQ, me, my_seq }
}

inline use() {
  assert(md >= complete);            /* R1, R3 */
  open[me] = true;
  used[me] = md
}

inline read_birth() {
  atomic {
    md = birth;
    assert(md == WHITE || complete >= LOGGING);          /* R4 */
    use()
  }
}

inline read_mode(again) {
  atomic {
    md = mode;
    assert(md <= complete + 1);      /* R4 */
    acts = again || IS_IDLE(md);
    if
    :: acts && op != SLOW_BIRTH -> use()
    :: else -> md = 0
    fi
  }
}

inline enter(again) {
#ifdef MODE_FIRST
  read_mode(again);
  toggle()
#else
  toggle();
#if defined(FENCED) && !defined(NO_BRACKET_FENCE)
  if
  :: again -> atomic { drain_all(me) }
  :: else
  fi;
#endif
  read_mode(again)
#endif
}

inline act() {
#ifdef COUNT_LATE
  atomic {
    if
    :: !counted[me] -> drain_all(me); counted[me] = true
    :: else
    fi
  };
#endif
#ifdef NESTED
  toggle();
  toggle();
#endif
  atomic {
    nfull(buffer[me]) -> buffer[me] ! ACT, me, md;
    buffered[md]++;
    open[me] = false; used[me] = 0; md = 0; acts = false
  }
}

inline bracket() {
  if
  :: op = BRACKET
  :: op = BARE
  :: op = SLOW_BIRTH
  :: MAY_BEAR -> op = BIRTH
  fi;
  if
  :: op == BIRTH ->
#ifdef BIRTH_WITHOUT_SEQ
     read_birth();
     act()
#else
#ifdef BIRTH_OUTSIDE
     read_birth();
     toggle();
#else
     toggle();
     read_birth();
#endif
     act();
     toggle()
#endif
  :: else ->
     if
     :: op == BARE ->
        enter(false);
        if
        :: acts
        :: else -> toggle(); op = BRACKET
        fi
     :: else
     fi;
     if
     :: op != BARE ->
        enter(false);
        if
        :: acts
        :: else -> toggle(); enter(true)
        fi
     :: else
     fi;
     if
     :: op == SLOW_BIRTH -> read_birth()
     :: else
     fi;
     act();
     toggle()
  fi;
  op = BRACKET
}

inline attach() {
#ifndef COUNT_LATE
  if
#ifdef COUNT_UNFENCED
  :: !counted[me] -> put(me, COUNT, me, true)
#else
  :: !counted[me] -> atomic { drain_all(me); counted[me] = true }
#endif
  :: else
  fi
#else
  skip
#endif
}

proctype Mutator(byte me; byte lives) {
  mtype kind = SEQ, op = BRACKET;
  byte slot, value, md, n, my_seq;
  bool acts;
  do
  :: lives > 0 ->
     lives--;
     if
     :: me == 1 ->
        attach();
#ifdef RESET_SEQ
        atomic { put(me, SEQ, me, 0); my_seq = 0 };
#endif
     :: else
     fi;
     do
     :: n < BRACKETS -> n++; bracket()
     :: true -> break
     od;
     n = 0;
     atomic { drain_all(me) }        /* leaving: a compare-exchange */
  :: break
  od
}

proctype Drain(byte t) {
  mtype kind = SEQ;
  byte slot, value;
end:
  do
  :: atomic { nempty(buffer[t]) -> drain_one(t) }
  od
}

inline read_counted() {
  i = 0;
  do
  :: i < 2 -> walk[i] = counted[i]; i++
  :: else -> break
  od;
  i = 0
}

#ifdef BIRTH_EARLY
#define BEFORE LOGGING
#else
#define BEFORE MARKING
#endif

inline store_birth() {
  if
  :: m == BEFORE -> put(COLLECTOR, BIRTH_WORD, 0, BLACK)
  :: else
  fi
}

proctype Collector() {
  mtype kind = SEQ;
  byte slot, value, m = LOGGING, i, seen[2];
  bool walk[2];
  do
  :: m <= LAST ->
#if !defined(BIRTH_LATE) && !defined(BIRTH_AFTER)
     store_birth();
#endif
     put(COLLECTOR, MODE, 0, m);
#ifdef BIRTH_AFTER
     store_birth();
#endif
#ifdef READ_SEQ_FIRST
     seen[0] = seq[0]; seen[1] = seq[1];
#endif
     atomic { drain_all(COLLECTOR) };
#ifdef WALK_FIRST
     read_counted();
#endif
#if !defined(NO_MEMBARRIER) && !defined(FENCED)
     atomic { drain_all(0) };        /* each thread at a moment of its own */
     atomic { drain_all(1) };
#endif
#ifndef WALK_FIRST
     read_counted();
#endif
     i = 0;
     do
     :: i < 2 ->
        if
        :: walk[i] ->
#ifndef READ_SEQ_FIRST
           seen[i] = seq[i];
#endif
#ifndef PASS_ODD
           seen[i] % 2 == 0 || seq[i] != seen[i]
#endif
        :: else
        fi;
        i++
     :: else -> break
     od;
     atomic {
       assert(!(open[0] && used[0] < m) && !(open[1] && used[1] < m));
       assert(buffered[IDLE] == 0);
       assert(m < MARKING || buffered[LOGGING] == 0);
       assert(m < DISARMED || buffered[MARKING] == 0);
       complete = m;
       i = 0; seen[0] = 0; seen[1] = 0; walk[0] = false; walk[1] = false
     };
#ifdef BIRTH_LATE
     store_birth();
#endif
     m++
  :: else -> break
  od
}

init {
  atomic {
    counted[0] = true;
    if
    :: WHO != 1 -> run Mutator(0, 1); run Drain(0)
    :: else
    fi;
    if
    :: WHO != 0 -> run Mutator(1, LIVES); run Drain(1)
    :: else
    fi;
    run Collector(); run Drain(COLLECTOR)
  }
}
